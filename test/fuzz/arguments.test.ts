import { Command, CommanderError } from 'commander'
import t from 'tap'
import { readRedisAddress, type CommonOptions } from '../../lib/cli/options.js'
import { runCommand } from '../support/cli.js'
import { bytes, checkPrototypes, inputCount, mutated, secret } from '../support/fuzz/laws.js'
import { Random } from '../support/random.js'

// Nothing listens there: no command does anything.
const nowhere = `redis://:${secret}@127.0.0.1:1`
process.env['REDIS_URL'] = nowhere
t.teardown(() => { delete process.env['REDIS_URL'] })

const id = 'x'.repeat(43)
const urls = ['redis://', 'rediss://', 'redis+unix://', 'unix://', 'http://', '', 'redis:', '//'].flatMap((scheme) =>
  ['127.0.0.1:1', `:${secret}@127.0.0.1:1`, `ada:${secret}@[::1]:1`, `/run/${secret}`, `:${secret}@localhost/run/s.sock`, ''].map((place) => scheme + place))
const ends = ['', '/', '/2', '/99999999999', '/-1', '/prod', '?db=2', '?db=x', '?db=1&db=2', '?family=6', '?family=x', `?password=${secret}`, `#${secret}`]

await t.test(`${inputCount} URLs of a Redis: each is an address, or wrong usage that does not show it`, (t) => {
  const problems: string[] = []
  let addresses = 0
  for (let seed = 0; seed < inputCount; seed++) {
    const random = new Random(seed)
    const url = random.pick(urls) + random.pick(ends)
    const redis = random.onceIn(3) ? mutated(random, url) : random.onceIn(9) ? bytes(random, 30) : url
    const options: CommonOptions = { prefix: 'session:', timeout: 1, tokenKind: 'random256', redis, ...random.onceIn(9) && { cluster: true as const }, ...random.onceIn(9) && { sentinel: [{ host: 'a', port: 1 }] }, ...random.onceIn(9) && { master: 'mine' } }
    const command = new Command().exitOverride().configureOutput({ outputError: () => {} })
    try {
      const { label, host, port, path, database, family } = readRedisAddress(command, options)
      addresses++
      const isWhole = [port, database, family].every((number) => Number.isSafeInteger(number) && number >= 0) && (path === undefined ? host !== '' : path.length > 1)
      if (!isWhole) problems.push(`seed ${seed}: ${redis} is ${JSON.stringify({ host, port, path, database, family })}`)
      if (path === undefined && redis === url && label.includes(secret)) problems.push(`seed ${seed}: ${label}`)
    } catch (error) {
      if (!(error instanceof CommanderError)) problems.push(`seed ${seed}: ${redis}: ${String(error)}`)
      else if (error.message.includes(secret)) problems.push(`seed ${seed}: ${error.message}`)
    }
  }
  t.strictSame(problems, [])
  t.ok(addresses > inputCount / 20, `${addresses} addresses`)
  t.end()
})

/** An argument, with a value that is often wrong. */
function anyArguments (random: Random): string[] {
  const value = (...good: string[]): string => random.onceIn(2) ? random.pick(good) : random.onceIn(2) ? bytes(random, 12) : mutated(random, random.pick(good))
  return random.pick<() => string[]>([
    () => ['--json'], () => ['-y'], () => ['--yes'], () => ['--cluster'], () => ['--skip-damaged'], () => ['--help'], () => ['--'], () => ['-'],
    () => ['--redis', random.pick([nowhere, `${nowhere}/2`, `${nowhere}/prod`, 'redis+unix:///no/such', `http://${secret}`])],
    () => ['--sentinel', random.pick(['127.0.0.1:1', '127.0.0.1:1,[::1]:1', ':', ',', '127.0.0.1:99999', secret.slice(0, 3)])], () => ['--master', value('mine')],
    () => ['--prefix', value('shop:')], () => ['--timeout', value('200')], () => ['--token-kind', value('uint64', 'random256')],
    () => ['--subject', value('ada')], () => ['--name', value('order 7')], () => ['--id', random.pick([id, `${id}x`, '', secret])],
    () => ['--secret-env', value('APP_SECRET')], () => ['--on-conflict', value('skip', 'fail')], () => [value('saved.jsonl')], () => [`-${bytes(random, 2)}`],
  ])()
}

await t.test(`${inputCount} command lines: an exit code, and one line that shows no secret`, async (t) => {
  const problems: string[] = []
  const codes = new Map<number | null, number>()
  for (let seed = 0; seed < inputCount && problems.length === 0; seed++) {
    const random = new Random(seed)
    const commands = ['list', 'info', 'end', 'end-all', 'save', 'restore', 'doctor']
    const args = [random.onceIn(20) ? bytes(random, 8) : random.pick(commands), ...Array.from({ length: random.below(5) }, () => anyArguments(random)).flat()]
    const { code, stdout, stderr } = await runCommand(args, { env: { APP_SECRET: secret }, stdin: random.pick(['', secret, id, bytes(random, 2000)]) })
    codes.set(code, (codes.get(code) ?? 0) + 1)
    const isTold = code === 0 ? stderr === '' : (code === 1 || code === 2) && (stdout === '' || args[0] === 'save' || args[0] === 'restore') && /^error: [^\n]*\n$/.test(stderr)
    if (!isTold || (stdout + stderr).includes(secret) || /[^\P{C}\n]/u.test(stderr)) problems.push(`seed ${seed}: ${JSON.stringify({ args, code, stdout, stderr })}`)
  }
  t.strictSame(problems, [])
  for (const code of [0, 1, 2]) t.ok((codes.get(code) ?? 0) > inputCount / 100, JSON.stringify([...codes]))
  checkPrototypes(t)
})
