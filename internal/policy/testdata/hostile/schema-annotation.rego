# refused: schema annotations are not allowed
package local.rule

# METADATA
# schemas:
#   - input: {"$ref": "http://127.0.0.1/schema.json"}
lower contains {"entry": 0, "level": "hidden"} if input.date
