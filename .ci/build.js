/**
 * Builds the package into `dist/`, or into another folder, for a test: `node .ci/build.js [folder]`. Types are checked for `dist/` alone.
 *
 * `cjs/` has the library as CommonJS, with its declarations. Beside it are ES modules that pass on what `cjs/` exports: an
 * application that imports the package in one place and requires it in another has one copy of it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'
import ts from 'typescript'

const root = fileURLToPath(new URL('../', import.meta.url))
const lib = join(root, 'lib')
const forTest = process.argv[2] !== undefined
const out = forTest ? resolve(process.argv[2]) : join(root, 'dist')

/** Entry points of the package, and their sources in lib/. */
const entries = { index: 'index', redis: 'stores/redis/index', neo4j: 'neo4j/index', ravendb: 'ravendb/index', conformance: 'conformance/index' }

/** Entry points whose functions `index` loads when they are called: an application loads the databases that it has. */
const lazy = ['redis', 'neo4j', 'ravendb']

/** What is not in the one file that all entry points share: each file that is loaded takes time. */
const apart = /^(index|stores\/redis|neo4j|ravendb|conformance|cli)(\/|$)/

const settings = ts.parseJsonConfigFileContent(ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config, ts.sys, root)
const external = /^(?![./\0])/
const sourceOf = (name) => join(lib, `${name}.ts`)
const nameOf = (file) => relative(lib, file).replace(/\.ts$/, '')

function write (name, text) {
  const file = join(out, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

async function bundle (input, options, { plugins, external }) {
  const build = await rollup({ input, plugins, external, onwarn (warning) { throw new Error(warning.message) } })
  const { output } = await build.generate({ entryFileNames: '[name].js', chunkFileNames: '[name].js', ...options })
  await build.close()
  return output
}

/** Compiles a file to JavaScript. Its name is the only comment, behind the imports. */
function compile (file) {
  const compilerOptions = { ...settings.options, module: ts.ModuleKind.ESNext, removeComments: true, declaration: false }
  const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), { fileName: file, compilerOptions })
  return outputText.replace(/^(?!import |#)/m, `// ${relative(lib, file)}\n`)
}

/** Source of a module with the functions of an entry point, which load it when they are called. */
function lazySource (entry) {
  const [, names] = /^export \{ (.+) \} from/m.exec(compile(sourceOf(entries[entry])))
  return names.split(', ').map((name) => `export function ${name}(...args) {\n    return require('./${entry}.js').${name}(...args);\n}`).join('\n')
}

/** Lets Rollup read lib/. */
const sources = {
  name: 'sources',
  resolveId (specifier, importer) {
    if (importer === undefined || external.test(specifier)) return null
    const file = resolve(dirname(importer), specifier.replace(/\.js$/, '.ts'))
    const entry = lazy.find((name) => sourceOf(entries[name]) === file)
    return entry !== undefined && importer === sourceOf('index') ? `\0${entry}` : file
  },
  load: (id) => id.startsWith('\0') ? lazySource(id.slice(1)) : compile(id),
  resolveImportMeta: (property) => property === 'url' ? "require('node:url').pathToFileURL(__filename).href" : null,
}

/** Indents by tabs, which are a quarter of the size; what stands in template literals stays as it is. */
function indentByTabs (code) {
  const literals = new Set()
  const file = ts.createSourceFile('code.js', code, ts.ScriptTarget.Latest)
  const visit = (node) => {
    if (ts.isTemplateLiteralToken(node)) {
      const [first, last] = [node.getStart(file), node.end].map((at) => file.getLineAndCharacterOfPosition(at).line)
      for (let line = first + 1; line <= last; line++) literals.add(line)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return code.split('\n').map((line, i) => literals.has(i) ? line : line.replace(/^( {4})+/, (spaces) => '\t'.repeat(spaces.length / 4))).join('\n')
}

/** Writes the CommonJS files and returns the exports of each. */
async function writeCommonJS () {
  const input = Object.fromEntries([...Object.entries(entries), ['cli', 'cli/main']].map(([name, source]) => [name, sourceOf(source)]))
  const output = await bundle(input, {
    format: 'cjs',
    exports: 'named',
    interop: 'default',
    generatedCode: { preset: 'es2015', symbols: false },
    externalLiveBindings: false,
    hoistTransitiveImports: false,
    manualChunks: (id) => id.startsWith('\0') || apart.test(nameOf(id)) ? undefined : 'shared',
  }, { plugins: [sources], external })
  for (const { fileName, code } of output) write(`cjs/${fileName}`, indentByTabs(code))
  write('cjs/package.json', '{ "type": "commonjs" }\n')
  return new Map(output.map(({ fileName, exports }) => [fileName, exports]))
}

/** Writes the ES modules. */
function writeModules (exportsOf) {
  for (const name of Object.keys(entries)) {
    const { default: plugin, ...named } = Object.fromEntries(exportsOf.get(`${name}.js`).map((name) => [name, true]))
    const from = `'./cjs/${name}.js'`
    write(`${name}.js`, `import library from ${from}\n\nexport const { ${Object.keys(named).join(', ')} } = library\n${plugin ? 'export default library.default\n' : ''}`)
    write(`${name}.d.ts`, `export * from ${from}\n${plugin ? `export { requestSession as default } from ${from}\n` : ''}`)
  }
  write('cli/main.js', "#!/usr/bin/env node\nimport '../cjs/cli.js'\n")
}

/** Leaves the examples of functions, classes and constants, which show how the types are used: half of the text is examples else. */
function withoutExamplesOfTypes (declarations) {
  return declarations.replace(/\/\*\*(?:[^*]|\*(?!\/))*\*\/\n *(?:export )?(?:interface|type) /g, (text) => text.replace(/(\n *\*)?\n *\* @example\n *\* ```ts\n[^]*?\n *\* ```(?=\n)/g, ''))
}

/** Writes the declarations: all in that of `index`, but for the errors, whose namespace is a file. */
async function writeDeclarations () {
  const folder = join(out, 'declarations')
  const program = ts.createProgram(settings.fileNames, { ...settings.options, emitDeclarationOnly: true, noCheck: forTest, outDir: folder })
  const problems = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics]
  if (problems.length > 0) throw new Error(ts.formatDiagnostics(problems, { getCanonicalFileName: (file) => file, getCurrentDirectory: () => root, getNewLine: () => '\n' }))

  const read = (source) => readFileSync(join(folder, `${source}.d.ts`), 'utf8')
  const texts = { errors: read('errors'), index: await bundleDeclarations('index', /\/errors\.js$/), conformance: await bundleDeclarations('conformance', /\/store\.js$/) }
  for (const name of lazy) texts[name] = read(entries[name]).replace(/'\..+'/g, "'./index.js'")
  for (const [name, text] of Object.entries(texts)) write(`cjs/${name}.d.ts`, indentByTabs(withoutExamplesOfTypes(text)))
  rmSync(folder, { recursive: true })

  /** Makes one file of an entry point's; what is `apart` is another one's. */
  async function bundleDeclarations (name, apart) {
    const isApart = (id, importer, isResolved) => importer !== undefined && !isResolved && (external.test(id) || apart.test(id))
    const [{ code }] = await bundle({ [name]: join(folder, `${entries[name]}.d.ts`) }, {
      format: 'es',
      paths: (id) => external.test(id) ? id : id.endsWith('/errors.js') ? './errors.js' : './index.js',
    }, { plugins: [dts({ compilerOptions: { types: [] } })], external: isApart })
    return code
  }
}

rmSync(out, { recursive: true, force: true })
writeModules(await writeCommonJS())
await writeDeclarations()
