/** What a request costs with few and with many live sessions, each request with another one's cookie. */
export default async function scale (bench) {
  const counts = bench.quick ? [1_000, 50_000] : [1_000, 1_000_000]
  const cells = []
  for (const count of counts) {
    const server = await bench.server('ours', { nodeArgs: ['--max-old-space-size=4096'] })
    bench.log(`making ${count.toLocaleString('en')} sessions`)
    const cookieFile = await server.call('fill', { count, cookies: 100_000 })
    for (const route of ['read', 'write']) cells.push({ name: `${route} ${count}`, server, cookieFile, path: `/${route}` })
  }

  const { rate, costRatio } = await bench.measure(cells)
  const [fewest, most] = counts
  return [
    ...cells.map(({ name }) => rate(name, name)),
    costRatio('read cost, most / fewest sessions', `read ${most}`, `read ${fewest}`),
    costRatio('write cost, most / fewest sessions', `write ${most}`, `write ${fewest}`),
  ]
}
