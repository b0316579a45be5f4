import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Modules that a user imports, and their sources. */
const entryPoints = {
  'fastify-request-session': join(root, 'lib/index.ts'),
  'fastify-request-session/conformance': join(root, 'lib/conformance/index.ts'),
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
  readonly output: string
}

/** Type-checks and runs examples in a folder, in which the package resolves to `lib/`. The folder must lie in the checkout. */
export class DocExamples {
  readonly #folder: string
  readonly #options: ts.CompilerOptions
  readonly #sources = new Map<string, ts.SourceFile | undefined>()

  constructor (folder: string) {
    this.#folder = folder
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: { compilerOptions: object } }
    const { options } = ts.convertCompilerOptionsFromJson({
      ...config.compilerOptions, noUnusedLocals: false, noUnusedParameters: false, declaration: false, declarationMap: false, sourceMap: false,
    }, root)
    const paths = Object.fromEntries(Object.entries(entryPoints).map(([name, file]) => [name, [file]]))
    this.#options = { ...options, rootDir: root, outDir: join(folder, 'package'), paths }
  }

  /** Reads all exports of the package, without those that only pass on another's. */
  exports (): DocumentedExport[] {
    const program = this.#program(Object.values(entryPoints))
    const checker = program.getTypeChecker()
    return Object.values(entryPoints).flatMap((file) => {
      const module = checker.getSymbolAtLocation(program.getSourceFile(file) as ts.SourceFile) as ts.Symbol
      return checker.getExportsOfModule(module).map((symbol) => documented(symbol, checker))
    })
  }

  /** Type-checks the examples and returns the errors. Examples that augment a module are checked alone: they would contradict each other. */
  typeErrors (examples: readonly Example[]): string[] {
    const files = examples.map((example) => this.#write(example))
    const augmenting = files.filter((_, i) => /^declare module /m.test((examples[i] as Example).code))
    const others = files.filter((file) => !augmenting.includes(file))
    return [others, ...augmenting.map((file) => [file])].flatMap((group) => {
      const program = this.#program(group)
      return group.flatMap((file) => {
        const source = program.getSourceFile(file) as ts.SourceFile
        return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(formatDiagnostic)
      })
    })
  }

  /** Compiles the package for `run`. */
  compile (): void {
    this.#program(Object.values(entryPoints), { ...this.#options, noCheck: true }).emit()
    const exports = Object.fromEntries(Object.entries(entryPoints).map(([name, file]) =>
      [name.replace('fastify-request-session', '.'), `./package/${relative(root, file).replace(/\.ts$/, '.js')}`]))
    writeFileSync(join(this.#folder, 'package.json'), JSON.stringify({ name: 'fastify-request-session', type: 'module', exports }))
    // An example may leave a client open: its process ends a while after its last line.
    writeFileSync(join(this.#folder, 'run.js'), `await import(process.argv[2])\nsetTimeout(() => process.exit(), ${linger}).unref()\n`)
  }

  /** Runs an example in a process of its own. Call `compile` first. */
  run (example: Example, env: Record<string, string> = {}): Promise<ExampleRun> {
    const file = this.#write(example).replace(/\.ts$/, '.js')
    writeFileSync(file, ts.transpileModule(example.code, { compilerOptions: { ...this.#options, module: ts.ModuleKind.ESNext } }).outputText)
    return new Promise((resolve) => {
      execFile(process.execPath, [join(this.#folder, 'run.js'), file], { env: { ...process.env, ...env }, timeout, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
        resolve({ ok: error === null, output: `${stdout}${stderr}` })
      })
    })
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
