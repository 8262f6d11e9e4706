# refused: input.grants is not an input of local rules
package local.rule

import input.grants

lower contains {"entry": 0, "level": "hidden"} if grants
