import { once } from 'node:events'
import { get } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { EntryView } from '../../examples/shared/hood/entry.js'

/** What a drawer is told. */
export class Drawer {
  text = ''
  #last = 0

  /** Waits until the next request of a route is told of to its end. */
  async told (route: string, status: number, lastStep = 'closed'): Promise<EntryView> {
    for (;;) {
      const entry = this.entries().find(({ id, method, path }) => id > this.#last && `${method} ${path}` === route)
      if (entry?.status === status && entry.steps.at(-1)?.what === lastStep) {
        this.#last = entry.id
        return entry
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  entries (): EntryView[] {
    const all = [...this.text.matchAll(/^data: (.*)\n\n/gm)].map(([, data]) => JSON.parse(data as string) as EntryView)
    return [...new Map(all.map((entry) => [entry.id, entry])).values()]
  }
}

export async function openDrawer (t: Test, app: FastifyInstance): Promise<Drawer> {
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const drawer = new Drawer()
  const request = get(`${url}/hood/events`)
  t.teardown(() => request.destroy())
  const [response] = await once(request, 'response')
  t.strictSame([response.statusCode, response.headers['content-type'], response.headers['set-cookie']], [200, 'text/event-stream', undefined])
  response.setEncoding('utf8').on('data', (text: string) => { drawer.text += text })
  return drawer
}

export const stepsOf = ({ steps }: EntryView): string[] => steps.map(({ what, text }) => `${what} ${text}`)
