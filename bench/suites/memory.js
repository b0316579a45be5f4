/** Token sessions in the embedded memory store, against bare Fastify and the peers on theirs. */
export default async function memory (bench) {
  const bare = await bench.server('bare')
  const ours = await bench.server('ours')
  const fastifySession = await bench.server('fastify-session')
  const secureSession = await bench.server('secure-session')
  const expressSession = await bench.server('express-session')

  const cookies = {
    ours: await bench.login(ours),
    fastifySession: await bench.login(fastifySession),
    secureSession: await bench.login(secureSession),
    expressSession: await bench.login(expressSession),
  }
  const peer = (name, server, cookie) => ['read', 'write'].map((route) => ({
    name: `${name} ${route}`, server, cookie, path: `/${route}`,
  }))

  const { rate, ratio, costRatio } = await bench.measure([
    { name: 'bare', server: bare, path: '/untouched', cookie: cookies.ours },
    { name: 'untouched', server: ours, path: '/untouched', cookie: cookies.ours },
    { name: 'read', server: ours, path: '/read', cookie: cookies.ours },
    { name: 'write', server: ours, path: '/write', cookie: cookies.ours },
    ...peer('@fastify/session', fastifySession, cookies.fastifySession),
    ...peer('@fastify/secure-session', secureSession, cookies.secureSession),
    ...peer('express-session', expressSession, cookies.expressSession),
    { name: '@fastify/session untouched', server: fastifySession, path: '/untouched', cookie: cookies.fastifySession },
  ])

  return [
    rate('bare', 'bare'),
    ratio('untouched / bare', 'untouched', 'bare'),
    ratio('read / bare', 'read', 'bare'),
    ratio('write / bare', 'write', 'bare'),
    ...['untouched', 'read', 'write'].map((route) => costRatio(`bare / ${route}, by CPU time`, 'bare', route)),
    ...['@fastify/session', '@fastify/secure-session', 'express-session'].flatMap((name) => [
      ratio(`read / ${name}`, 'read', `${name} read`),
      ratio(`write / ${name}`, 'write', `${name} write`),
    ]),
    ratio('@fastify/session untouched / bare', '@fastify/session untouched', 'bare'),
    ...['@fastify/session', '@fastify/secure-session', 'express-session'].flatMap((name) => [
      ratio(`${name} read / bare`, `${name} read`, 'bare'),
      ratio(`${name} write / bare`, `${name} write`, 'bare'),
    ]),
  ]
}
