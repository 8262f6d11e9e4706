// Package api is Kith's JSON face: it hides HTTP from the rest of the house.
// A handler verifies the caller, reads the request, asks one package below and
// writes one answer. openapi.yaml is the contract; requests are validated
// against it, and a test holds the routes against it.
package api
