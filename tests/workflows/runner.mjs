// Runs one job of a workflow on this machine: conditions, contexts and expressions are evaluated by
// GitHub's own library, `run:` steps by bash as a runner starts it, composite actions step by step.
// Third parties' actions do what the caller says they do. One JSON document in, one out. Of an artifact of another run
// the caller says where it lies; `only: "matrix"` runs nothing, and returns the combinations of the job's matrix.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { data, Evaluator, Lexer, Parser } from "@actions/expressions";
import { parse } from "yaml";

const OURS = /^(?:\$|\.|leverframe\/leverframe)\/(actions\/[\w-]+)(?:@.*)?$/; // also as a user's repository names them
const asked = JSON.parse(readFileSync(0, "utf8"));
const added = { env: {}, path: [] };
let counter = 0;
let summary = "";

const toData = (value) => JSON.parse(JSON.stringify(value ?? null), data.reviver);

function functions(status) {
  const bool = (value) => () => new data.BooleanData(value);
  const hash = (...patterns) => {
    const digest = createHash("sha256");
    const files = patterns.map((pattern) => join(asked.workspace, pattern.coerceString())).filter(existsSync);
    files.forEach((file) => digest.update(readFileSync(file)));
    return new data.StringData(files.length ? digest.digest("hex") : "");
  };
  return [
    ["success", 0, 0, bool(status === "success")],
    ["failure", 0, 0, bool(status === "failure")],
    ["cancelled", 0, 0, bool(false)],
    ["always", 0, 0, bool(true)],
    ["hashFiles", 1, 255, hash],
  ].map(([name, minArgs, maxArgs, call]) => ({ name, minArgs, maxArgs, call }));
}

function evaluate(text, contexts, status) {
  const extra = functions(status);
  const expression = new Parser(new Lexer(text).lex().tokens, Object.keys(contexts), extra).parse();
  const known = new data.Dictionary(
    ...Object.entries(contexts).map(([key, value]) => ({ key, value: toData(value) })),
  );
  return new Evaluator(expression, known, new Map(extra.map((call) => [call.name.toLowerCase(), call]))).evaluate();
}

function filled(text, contexts, status) {
  return String(text ?? "").replace(/\$\{\{(.*?)\}\}/gs, (_, inner) => evaluate(inner, contexts, status).coerceString());
}

function holds(condition, contexts, status) {
  if (condition === undefined) return status === "success";
  const text = String(condition).replace(/^\s*\$\{\{(.*)\}\}\s*$/s, "$1");
  const asksStatus = /\b(success|failure|always|cancelled)\s*\(/.test(text);
  if (!asksStatus && status !== "success") return false;
  return evaluate(`!(!(${text}))`, contexts, status).coerceString() === "true";
}

function mapped(values, contexts, status) {
  return Object.fromEntries(Object.entries(values ?? {}).map(([key, value]) => [key, filled(value, contexts, status)]));
}

function commands(file) {
  const outputs = {};
  const lines = readFileSync(file, "utf8").split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const fence = lines[at].match(/^([^=]+?)<<(.+)$/);
    if (fence) {
      const until = lines.indexOf(fence[2], at + 1);
      outputs[fence[1]] = lines.slice(at + 1, until).join("\n");
      at = until;
    } else if (lines[at].includes("=")) {
      const cut = lines[at].indexOf("=");
      outputs[lines[at].slice(0, cut)] = lines[at].slice(cut + 1);
    }
  }
  return outputs;
}

function run(step, env, contexts, status) {
  counter += 1;
  const files = Object.fromEntries(
    ["OUTPUT", "ENV", "PATH", "STEP_SUMMARY"].map((name) => [`GITHUB_${name}`, join(asked.temp, `${counter}-${name}`)]),
  );
  Object.values(files).forEach((file) => writeFileSync(file, ""));
  const script = join(asked.temp, `${counter}-script.sh`);
  writeFileSync(script, filled(step.run, contexts, status));
  const flags = step.shell === "bash" ? ["--noprofile", "--norc", "-eo", "pipefail"] : ["-e"];
  const path = [...added.path, asked.env.PATH].join(delimiter);
  const done = spawnSync("bash", [...flags, script], {
    cwd: join(asked.workspace, filled(step["working-directory"], contexts, status)),
    env: { ...asked.env, GITHUB_WORKSPACE: asked.workspace, ...added.env, ...env, ...files, PATH: path },
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  Object.assign(added.env, commands(files.GITHUB_ENV));
  added.path.unshift(...readFileSync(files.GITHUB_PATH, "utf8").split("\n").filter(Boolean).reverse());
  summary += readFileSync(files.GITHUB_STEP_SUMMARY, "utf8");
  return { ok: done.status === 0, outputs: commands(files.GITHUB_OUTPUT), log: (done.stdout ?? "") + (done.stderr ?? "") };
}

const at = (path) => resolve(asked.workspace, path); // a path of a temporary folder is whole already

// As the action does it: what a pattern matches keeps its path from the first wildcard on, a folder gives its content.
function uploaded(given) {
  const [before, after] = given.path.split("/*/");
  const folders = after === undefined || !existsSync(at(before)) ? [] : readdirSync(at(before));
  const whole = existsSync(at(given.path)) && statSync(at(given.path)).isDirectory() ? "" : basename(given.path);
  const paths = after === undefined ? [[given.path, whole]] : folders.map((name) => [join(before, name, after), join(name, after)]);
  const there = paths.filter(([from]) => existsSync(at(from)));
  if (!there.length) return { ok: given["if-no-files-found"] !== "error", outputs: {}, log: `no ${given.path}` };
  if (existsSync(join(asked.artifacts, given.name))) return { ok: false, outputs: {}, log: `${given.name} is there already` };
  for (const [from, to] of there) {
    mkdirSync(dirname(join(asked.artifacts, given.name, to)), { recursive: true });
    cpSync(at(from), join(asked.artifacts, given.name, to), { recursive: true });
  }
  return { ok: true, outputs: {}, log: "" };
}

// By a pattern that ends with a wildcard, none is no failure, and their files are merged.
function downloaded(given) {
  const store = given["run-id"] ? (asked.runs[given["run-id"]] ?? "") : asked.artifacts;
  const stored = existsSync(store) ? readdirSync(store) : [];
  const names = given.pattern ? stored.filter((name) => name.startsWith(given.pattern.replace(/\*$/, ""))) : [given.name];
  for (const name of names) {
    if (!stored.includes(name)) return { ok: false, outputs: {}, log: `no artifact ${name}` };
    cpSync(join(store, name), at(given.path), { recursive: true });
  }
  return { ok: true, outputs: {}, log: "" };
}

// The workspace is a clone; a branch is made anew where the remote has it, as the action does it.
function checkedOut(given) {
  if (!given.ref) return { ok: true, outputs: {}, log: "" };
  const git = (...words) => spawnSync("git", ["-C", asked.workspace, ...words], { env: asked.env, encoding: "utf8" });
  const there = git("rev-parse", "--quiet", "--verify", `refs/remotes/origin/${given.ref}`).status === 0;
  const branch = there ? ["-B", given.ref, `refs/remotes/origin/${given.ref}`] : ["--detach", given.ref];
  const done = git("checkout", "--quiet", "--force", ...branch);
  return { ok: done.status === 0, outputs: {}, log: done.stderr ?? "" };
}

function thirdParty(name, given) {
  const action = name.split("@")[0];
  if (!(action in asked.stubs)) throw new Error(`nothing says what ${action} does here`);
  if (asked.stubs[action] === "upload") return uploaded(given);
  if (asked.stubs[action] === "download") return downloaded(given);
  if (asked.stubs[action] === "checkout") return checkedOut(given);
  return { ok: true, outputs: {}, log: "" };
}

function composite(name, given, outer) {
  const folder = join(asked.root, name);
  const action = parse(readFileSync(join(folder, "action.yml"), "utf8"));
  const unknown = Object.keys(given).filter((key) => !(key in (action.inputs ?? {})));
  if (unknown.length) throw new Error(`${name} has no input ${unknown.join(", ")}`);
  const contexts = { github: { ...outer.github, action_path: folder }, env: outer.env, runner: outer.runner };
  const inputs = Object.fromEntries(
    Object.entries(action.inputs ?? {}).map(([key, described]) => [
      key,
      key in given ? given[key] : filled(described.default, contexts, "success"),
    ]),
  );
  const ended = steps(action.runs.steps, { ...contexts, inputs });
  const known = { ...contexts, inputs, steps: ended.context };
  const outputs = Object.fromEntries(
    Object.entries(action.outputs ?? {}).map(([key, output]) => [key, filled(output.value, known, "success")]),
  );
  return { ok: ended.status === "success", outputs, log: ended.results.map((result) => result.log).join("") };
}

function steps(all, contexts) {
  const context = {};
  const results = [];
  let status = "success";
  for (const step of all) {
    const known = { ...contexts, steps: context };
    const name = step.name ?? step.uses ?? step.run;
    if (!holds(step.if, known, status)) {
      if (step.id) context[step.id] = { outcome: "skipped", conclusion: "skipped", outputs: {} };
      results.push({ name, outcome: "skipped", log: "" });
      continue;
    }
    const env = mapped(step.env, known, status);
    const given = mapped(step.with, { ...known, env: { ...contexts.env, ...env } }, status);
    let ended;
    if (step.run !== undefined) ended = run(step, env, known, status);
    else if (OURS.test(step.uses)) ended = composite(step.uses.match(OURS)[1], given, known);
    else ended = thirdParty(step.uses, given);
    const outcome = ended.ok ? "success" : "failure";
    const tolerated = filled(step["continue-on-error"], known, status) === "true";
    if (!ended.ok && !tolerated) status = "failure";
    if (step.id) context[step.id] = { outcome, conclusion: tolerated ? "success" : outcome, outputs: ended.outputs };
    results.push({ name, outcome, log: ended.log, outputs: ended.outputs });
  }
  return { context, results, status };
}

mkdirSync(asked.temp, { recursive: true });
const workflow = parse(readFileSync(asked.workflow, "utf8"));
const job = workflow.jobs[asked.job];
const needed = [job.needs ?? []].flat();
const ended = (value) => (typeof value === "object" ? value : { result: value ?? "success", outputs: {} });
const needs = Object.fromEntries(needed.map((name) => [name, ended(asked.needs?.[name])]));
const results = new Set(Object.values(needs).map((need) => need.result));
results.delete("success");
const before = !results.size ? "success" : results.size === 1 && results.has("skipped") ? "skipped" : "failure";
const contexts = {
  github: asked.github, vars: asked.vars ?? {}, env: {}, runner: { os: "Linux", temp: asked.temp }, inputs: asked.inputs ?? {},
  needs, matrix: asked.matrix ?? {}, secrets: asked.secrets ?? {},
};
if (asked.only === "matrix") {
  const [[name, values]] = Object.entries(job.strategy?.matrix ?? { none: "[{}]" });
  const list = evaluate(`toJSON(${String(values).replace(/^\s*\$\{\{(.*)\}\}\s*$/s, "$1")})`, contexts, before).coerceString();
  process.stdout.write(JSON.stringify(JSON.parse(list).map((value) => ({ [name]: value }))));
} else if (!holds(job.if, contexts, before)) {
  process.stdout.write(JSON.stringify({ status: "skipped", steps: [], summary: "", outputs: {} }));
} else {
  const env = { ...mapped(workflow.env, contexts, "success"), ...mapped(job.env, contexts, "success") };
  Object.assign(asked.env, env);
  const done = steps(job.steps, { ...contexts, env });
  const outputs = mapped(job.outputs, { ...contexts, steps: done.context }, "success");
  process.stdout.write(JSON.stringify({ status: done.status, steps: done.results, summary, outputs }));
}
