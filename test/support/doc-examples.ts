import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Modules that a user imports, and their sources. */
const entryPoints = {
  'fastify-request-session': join(root, 'lib/index.ts'),
  'fastify-request-session/conformance': join(root, 'lib/conformance/index.ts'),
  'fastify-request-session/neo4j': join(root, 'lib/neo4j/index.ts'),
  'fastify-request-session/ravendb': join(root, 'lib/ravendb/index.ts'),
  'fastify-request-session/redis': join(root, 'lib/stores/redis/index.ts'),
}

/** Milliseconds that an example may take, and that it may leave something open after its last line. */
const timeout = 30_000
const linger = 2000

/** A name that the package exports, and the examples of its doc comment. */
export interface DocumentedExport {
  readonly name: string
  readonly examples: readonly Example[]
}

/** An `@example` of a doc comment. */
export interface Example {
  /** `<export>` or, where there are several, `<export>-2`. */
  readonly name: string
  readonly code: string
}

/** Result of an example's run. */
export interface ExampleRun {
  readonly ok: boolean
  /** Output of the process up to then, with the error. */
  readonly output: string
}

/** Source of the process that runs examples: one at a message, and it ends a while after the last one, in which errors may still come. */
const runner = `
process.on('message', async (file) => {
  if (file === 'end') {
    process.disconnect()
    setTimeout(() => process.exit(), ${linger}).unref()
    return
  }
  await import(file)
  process.send('done')
})
`

/** Type-checks and runs examples in a folder, in which the package resolves to `lib/`. The folder must lie in the checkout. */
export class DocExamples {
  readonly #folder: string
  readonly #options: ts.CompilerOptions
  readonly #sources = new Map<string, ts.SourceFile | undefined>()
  #env: Record<string, string> = {}
  #process: ExampleProcess | undefined

  constructor (folder: string) {
    this.#folder = folder
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: { compilerOptions: object } }
    const { options } = ts.convertCompilerOptionsFromJson({
      ...config.compilerOptions, noUnusedLocals: false, noUnusedParameters: false, declaration: false, declarationMap: false, sourceMap: false,
    }, root)
    const paths = Object.fromEntries(Object.entries(entryPoints).map(([name, file]) => [name, [file]]))
    this.#options = { ...options, rootDir: root, outDir: join(folder, 'package'), paths }
  }

  /** Reads all exports of the package, each once: some entry points have the same. */
  exports (): DocumentedExport[] {
    const program = this.#program(Object.values(entryPoints))
    const checker = program.getTypeChecker()
    const all = Object.values(entryPoints).flatMap((file) => {
      const module = checker.getSymbolAtLocation(program.getSourceFile(file) as ts.SourceFile) as ts.Symbol
      return checker.getExportsOfModule(module).map((symbol) => documented(symbol, checker))
    })
    return [...new Map(all.map((documented) => [documented.name, documented])).values()]
  }

  /** Type-checks the examples and returns the errors. Examples that add the same member to a module are checked apart: they would contradict each other. */
  typeErrors (examples: readonly Example[]): string[] {
    return compatible(examples).flatMap((group) => {
      const files = group.map((example) => this.#write(example))
      const program = this.#program(files)
      return files.flatMap((file) => {
        const source = program.getSourceFile(file) as ts.SourceFile
        return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(formatDiagnostic)
      })
    })
  }

  /**
   * Compiles the package for `run`.
   * @param env variables that the examples see
   */
  compile (env: Record<string, string>): void {
    this.#env = env
    this.#program(Object.values(entryPoints), { ...this.#options, noCheck: true }).emit()
    const exports = Object.fromEntries(Object.entries(entryPoints).map(([name, file]) =>
      [name.replace('fastify-request-session', '.'), `./package/${relative(root, file).replace(/\.ts$/, '.js')}`]))
    writeFileSync(join(this.#folder, 'package.json'), JSON.stringify({ name: 'fastify-request-session', type: 'module', exports }))
    writeFileSync(join(this.#folder, 'run.js'), runner)
  }

  /** Runs an example. Call `compile` first, and `close` at the end. */
  async run (example: Example): Promise<ExampleRun> {
    const file = this.#write(example).replace(/\.ts$/, '.js')
    writeFileSync(file, ts.transpileModule(example.code, { compilerOptions: { ...this.#options, module: ts.ModuleKind.ESNext } }).outputText)
    // The test runner of Node is one of the whole process.
    if (example.code.includes("'node:test'")) return new ExampleProcess(this.#folder, this.#env).runLast(file)
    this.#process ??= new ExampleProcess(this.#folder, this.#env)
    const result = await this.#process.run(file)
    if (!result.ok) this.#process = undefined
    return result
  }

  /** Waits for what the examples have left behind. */
  async close (): Promise<ExampleRun> {
    const result = await this.#process?.close() ?? { ok: true, output: '' }
    this.#process = undefined
    return result
  }

  #write ({ name, code }: Example): string {
    const file = join(this.#folder, `${name}.ts`)
    mkdirSync(this.#folder, { recursive: true })
    writeFileSync(file, `${code}\nexport {}\n`)
    return file
  }

  /** Makes a program. Programs share the parsed files outside the folder. */
  #program (files: readonly string[], options = this.#options): ts.Program {
    const host = ts.createCompilerHost(options)
    const read = host.getSourceFile.bind(host)
    host.getSourceFile = (file, ...rest) => {
      if (file.startsWith(this.#folder)) return read(file, ...rest)
      if (!this.#sources.has(file)) this.#sources.set(file, read(file, ...rest))
      return this.#sources.get(file)
    }
    return ts.createProgram(files, options, host)
  }
}

/** A process that runs compiled examples, one after the other, until one fails. */
class ExampleProcess {
  readonly #child: ChildProcess
  readonly #over: Promise<ExampleRun>

  constructor (folder: string, env: Record<string, string>) {
    const child = fork(join(folder, 'run.js'), { env: { ...process.env, ...env }, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => { output += text })
    this.#child = child
    this.#over = once(child, 'close').then(([code]) => ({ ok: code === 0, output }))
  }

  /** Runs an example to its last line. */
  run (file: string): Promise<ExampleRun> {
    this.#child.send(file, () => {}) // one that is gone has its own result
    const done = once(this.#child, 'message').then(() => ({ ok: true, output: '' }))
    // The end of the process while an example runs is a failure, with whatever code.
    return this.#limited(Promise.race([done, this.#over.then((result) => ({ ...result, ok: false }))]))
  }

  /** Waits until the process ends, which it does by itself. */
  close (): Promise<ExampleRun> {
    // A child that its parent disconnects emits no 'close'.
    if (this.#child.connected) this.#child.send('end', () => {})
    return this.#limited(this.#over)
  }

  /** Runs an example and waits for the end of its process. */
  async runLast (file: string): Promise<ExampleRun> {
    const result = await this.run(file)
    return result.ok ? this.close() : result
  }

  async #limited (result: Promise<ExampleRun>): Promise<ExampleRun> {
    const timer = setTimeout(() => { this.#child.kill('SIGKILL') }, timeout)
    try {
      return await result
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Groups examples: those that add nothing to a module, and others so that in none two add the same member with another type. */
function compatible (examples: readonly Example[]): Example[][] {
  const groups: Array<{ members: Map<string, string>, examples: Example[] }> = []
  for (const example of examples) {
    const members = addedMembers(example)
    let group = groups.find(({ members: taken }) => (taken.size > 0) === (members.size > 0) && [...members].every(([name, type]) => !taken.has(name) || taken.get(name) === type))
    if (group === undefined) groups.push(group = { members: new Map(), examples: [] })
    for (const [name, type] of members) group.members.set(name, type)
    group.examples.push(example)
  }
  return groups.map(({ examples }) => examples)
}

/** The members that an example adds to a module, and the text that decides the type of each: of `typeof users` the line that makes `users`. */
function addedMembers ({ code }: Example): Map<string, string> {
  const lines = [...code.matchAll(/^declare module .*/gm)].map(([line]) => line)
  return new Map(lines.flatMap((line) => [...line.matchAll(/(\w+)\??(?: \(\))?: (?:typeof (\w+))?/g)]).map(([type, name, made]) =>
    [name as string, made === undefined ? type : new RegExp(`^const ${made} = (.*)`, 'm').exec(code)?.[1] ?? code]))
}

function documented (symbol: ts.Symbol, checker: ts.TypeChecker): DocumentedExport {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  // The comment of `export * as name` stands at the export.
  const declarations = target.flags & ts.SymbolFlags.ValueModule ? (symbol.declarations ?? []).map(({ parent }) => parent) : target.declarations ?? []
  const name = symbol.name === 'default' ? 'requestSession' : symbol.name
  const codes = declarations.flatMap((node) => ts.getJSDocTags(node))
    .filter(({ tagName }) => tagName.text === 'example')
    .map(({ comment }) => /^```ts\n([^]*?)\n```$/m.exec(ts.getTextOfJSDocComment(comment) ?? '')?.[1])
    .filter((code) => code !== undefined)
  return { name, examples: [...new Set(codes)].map((code, i) => ({ name: i === 0 ? name : `${name}-${i + 1}`, code })) }
}

function formatDiagnostic ({ file, start, messageText }: ts.Diagnostic): string {
  const line = file !== undefined && start !== undefined ? file.getLineAndCharacterOfPosition(start).line + 1 : 0
  return `${file?.fileName.split('/').at(-1)}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
}
