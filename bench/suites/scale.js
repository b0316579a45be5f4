/** What a request costs with few and with many live sessions, each request with another one's cookie. */
export default async function scale (bench) {
  const [fewest, most] = bench.quick ? [1_000, 50_000] : [1_000, 1_000_000]
  const names = [fewest, most].flatMap((count) => [`read, ${count} sessions`, `write, ${count} sessions`])

  async function start () {
    const cells = []
    for (const count of [fewest, most]) {
      const server = await bench.server('ours', { nodeArgs: ['--max-old-space-size=4096'] })
      bench.log(`making ${count.toLocaleString('en')} sessions`)
      const cookieFile = await server.call('fill', { count, cookies: 100_000 })
      for (const path of ['/read', '/write']) cells.push({ name: names[cells.length], server, path, cookieFile })
    }
    return cells
  }

  const { rate, costRatio } = await bench.measure(start, { batches: 2, rounds: 10, warmUp: 2 })
  const [readFew, writeFew, readMany, writeMany] = names
  return [
    ...names.map((name) => rate(name, name)),
    costRatio('read cost, most / fewest sessions', readMany, readFew),
    costRatio('write cost, most / fewest sessions', writeMany, writeFew),
  ]
}
