# refused: undefined function opa.runtime
package local.rule

lower contains {"entry": 0, "level": "hidden"} if opa.runtime().env.HOME
