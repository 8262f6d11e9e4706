// Reads FHIR resources, one a line, and writes for each what the R4 definitions
// have against it: an empty list where they have nothing.
import { createInterface } from "node:readline";
import fhir from "fhir";

const { Fhir } = fhir;
const validator = new Fhir();
for await (const line of createInterface({ input: process.stdin })) {
  const result = validator.validate(JSON.parse(line), { errorOnUnexpected: true });
  const against = result.messages.filter((m) => m.severity === "error" || m.severity === "fatal");
  if (!result.valid && against.length === 0) against.push({ message: "not valid" });
  console.log(JSON.stringify(against.map((m) => `${m.location ?? ""}: ${m.message}`)));
}
