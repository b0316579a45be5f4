import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { generator, generatorVersion } from './load.js'
import { pinned, redisVersion } from './processes.js'

/** When, with what and on what shape of machine a run was made. */
export function describeRun () {
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
  const versions = { node: process.versions.node, [generator]: generatorVersion(), redis: redisVersion() }
  for (const name of Object.keys(dependencies)) {
    const manifest = fileURLToPath(new URL(`node_modules/${name}/package.json`, import.meta.url))
    versions[name] = JSON.parse(readFileSync(manifest, 'utf8')).version
  }
  return {
    date: new Date().toISOString(),
    versions,
    machine: {
      platform: `${process.platform} ${process.arch}`,
      cores: availableParallelism(),
      memoryGB: Math.round(totalmem() / 2 ** 30),
      pinned,
    },
  }
}

/** Prints the report as a Markdown table: what `README.md` keeps. */
export function printTable ({ date, versions, machine, figures }) {
  const { platform, cores, memoryGB, pinned: onCores } = machine
  console.log(`${date.slice(0, 10)}, ${platform}, ${cores} cores, ${memoryGB} GB${onCores ? '' : ', not pinned to cores'}`)
  console.log(Object.entries(versions).filter(([, version]) => version).map((entry) => entry.join(' ')).join(', '))
  const rows = figures.map(({ suite, name, value, unit, bar, met }) => [
    suite, name, `${show(value)} ${unit}`, showBar(bar), met === null ? '' : met ? 'met' : '**missed**',
  ])
  rows.unshift(['suite', 'figure', 'value', 'bar', ''])
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length), 3))
  const line = (row, pad = ' ') => `| ${row.map((cell, column) => cell.padEnd(widths[column], pad)).join(' | ')} |`
  console.log()
  console.log(line(rows[0]))
  console.log(line(rows[0].map(() => ''), '-'))
  for (const row of rows.slice(1)) console.log(line(row))
}

const show = (value) => Math.abs(value) >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString('en') : value.toFixed(2)
const showBar = (bar) => bar === null ? '' : 'min' in bar ? `≥ ${bar.min}` : `≤ ${bar.max}`
