// Parses workflows and actions by GitHub's own schema, and prints what it has against them.
import { readFileSync } from "node:fs";
import { register } from "node:module";

// The package imports JSON without saying so, which Node 20 refuses.
const hook = `export async function load(url, context, next) {
  const json = url.endsWith(".json") ? { importAttributes: { ...context.importAttributes, type: "json" } } : {};
  return next(url, { ...context, ...json });
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

const { NoOperationTraceWriter, parseWorkflow } = await import("@actions/workflow-parser");
const { parseAction } = await import("@actions/workflow-parser/actions/action-parser");
const errors = [];
for (const name of process.argv.slice(2)) {
  const file = { name, content: readFileSync(name, "utf8") };
  const parser = name.endsWith("action.yml") ? parseAction : parseWorkflow;
  const result = parser(file, new NoOperationTraceWriter());
  errors.push(...result.context.errors.getErrors().map((error) => `${name}: ${error.message}`));
}
process.stdout.write(JSON.stringify(errors));
