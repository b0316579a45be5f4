import { parseArgs } from 'node:util'
import { judge } from './bars.js'
import { describeRun, printTable } from './report.js'
import { createBench, suiteNames } from './suites.js'

const usage = `npm run bench -- [suite …] [--json] [--quick] [--profile <folder>]
suites: ${suiteNames.join(' ')} (default: all)`

const log = (line) => console.error(line)

function readArguments () {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const unknown = positionals.filter((name) => !suiteNames.includes(name))
  if (unknown.length > 0) throw new Error(`there is no suite ${unknown.join(', ')}`)
  return { ...values, suites: positionals.length > 0 ? positionals : suiteNames }
}

async function runSuite (name, options) {
  const { default: suite } = await import(`./suites/${name}.js`)
  const bench = createBench({ ...options, log: (line) => log(`${name}: ${line}`) })
  try {
    return (await suite(bench)).map((figure) => judge(name, figure))
  } finally {
    await bench.stop()
  }
}

let args
try {
  args = readArguments()
} catch (error) {
  log(`${error.message}\n${usage}`)
  process.exit(2)
}
if (args.help) {
  console.log(usage)
  process.exit(0)
}

const figures = []
for (const suite of args.suites) {
  try {
    figures.push(...await runSuite(suite, { quick: args.quick, profileDir: args.profile }))
  } catch (error) {
    log(`${suite}: ${error.stack}`)
    process.exitCode = 1
  }
}

const report = { ...describeRun(), figures }
if (args.json) console.log(JSON.stringify(report, null, 2))
else printTable(report)
