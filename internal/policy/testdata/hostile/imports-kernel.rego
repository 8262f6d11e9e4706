# refused: data.kith.kernel is not data of local rules
package local.rule

import data.kith.kernel

lower contains {"entry": 0, "level": "hidden"} if kernel.walled
