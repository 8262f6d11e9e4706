# refused: recursive
package local.rule

lower contains rule if some rule in lower
