# refused: package must be local.<name>
package kith.kernel

decision := {"allow": true}
