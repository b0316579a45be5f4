import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { addressForPhone } from './listen.js'

/** What the pages may load: this server's own files, and nothing from anywhere else. */
const contentSecurityPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/**
 * Serves an example's own pages at `/`, and what all examples share at `/shared/`.
 * @param options `folder` is the example's: `new URL('public/', import.meta.url)`
 */
export async function pages (app: FastifyInstance, { folder }: { folder: URL }): Promise<void> {
  const files = { cacheControl: false, setHeaders } as const
  await app.register(fastifyStatic, { ...files, root: fileURLToPath(folder) })
  await app.register(fastifyStatic, {
    ...files,
    root: fileURLToPath(new URL('public/', import.meta.url)),
    prefix: '/shared/',
    decorateReply: false,
  })
  await app.register(fastifyStatic, {
    ...files,
    root: dirname(fileURLToPath(import.meta.resolve('uqr'))),
    prefix: '/uqr/',
    allowedPath: (path) => path === '/index.mjs',
    decorateReply: false,
  })
  app.get('/shared/phone', async () => ({ origin: addressForPhone(app) ?? null }))
}

function setHeaders (response: { setHeader (name: string, value: string): unknown }): void {
  response.setHeader('cache-control', 'no-cache')
  response.setHeader('content-security-policy', contentSecurityPolicy)
  response.setHeader('x-content-type-options', 'nosniff')
}
