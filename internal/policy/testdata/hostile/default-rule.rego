# refused: a local rule has no default
package local.rule

default lower := set()
