# refused: package must be local.<name>
package system.authz

default allow := true
