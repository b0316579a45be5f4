import createError from '@fastify/error'
import { tokenSessions, type CompleteStore, type CompleteTokenProvider, type SessionUpdate, type Subscription } from 'fastify-request-session'
import { viewOf, type Order, type OrderData, type OrderView, type PizzaId, type PizzeriaData, type Stage } from './orders.js'

export const NoOrderError = createError('PIZZA_NO_ORDER', 'There is no such order: it was delivered, or given up.', 404)
export const OutOfTurnError = createError('PIZZA_OUT_OF_TURN', 'That is not what comes next for this order.', 409)
export const TakenError = createError('PIZZA_TAKEN', 'Another driver was faster.', 409)

/** To whom all open orders belong, so that they can be listed. */
const us = 'pizzeria'

/**
 * Takes orders and moves them on. Each is a shared session: whichever process it is asked of, `order 17` is the same one.
 * An order that nobody finishes expires; one that is delivered ends.
 */
export class Pizzeria {
  readonly #orders: CompleteTokenProvider<OrderData>
  readonly #house: CompleteTokenProvider<PizzeriaData>

  /** @param patience seconds after which an order is given up */
  constructor (store: CompleteStore, secret: string, patience: number) {
    this.#orders = tokenSessions<OrderData>({ store, secret, ttl: patience })
    this.#house = tokenSessions<PizzeriaData>({ store, secret, ttl: null })
  }

  /** @returns the number, for kitchen and driver, and the token, which only who ordered has: whom he gives it can follow too */
  async take (pizza: PizzaId, customer: string): Promise<{ number: number, token: string }> {
    const house = await this.#open()
    house.increment('taken')
    await house.commit()
    const number = house.get('taken') ?? 0
    const order = await this.#orders.create({ name: nameOf(number), shared: true, subject: us, data: { number, pizza, customer, stage: 'ordered' } })
    await this.#tell()
    return { number, token: order.token }
  }

  /** The orders that are open, the oldest first. */
  async open (): Promise<OrderView[]> {
    const views: OrderView[] = []
    for await (const { name } of this.#orders.list({ subject: us })) {
      const order = name === undefined ? undefined : await this.#orders.open(name)
      if (order !== undefined) views.push(viewOf(order))
    }
    return views.sort((a, b) => a.number - b.number)
  }

  async find (token: string): Promise<OrderView | undefined> {
    const order = await this.#orders.load(token)
    return order && viewOf(order)
  }

  /** Moves an order from one stage to the next: of two cooks at once, one is refused. */
  async advance (number: number, from: Stage, to: Stage): Promise<OrderView> {
    return this.#change(number, (order) => {
      // At commit this is applied to the newest stage: a change that came first is seen here.
      order.update('stage', (stage) => {
        if (stage !== from) throw new OutOfTurnError()
        return to
      })
    })
  }

  /** Gives a ready order to a driver: of two at once, one is refused. */
  async hand (number: number, driver: string): Promise<OrderView> {
    const view = await this.#change(number, (order) => {
      if (order.get('stage') !== 'ready') throw new OutOfTurnError()
      order.add('driver', driver)
      order.update('stage', () => 'on the way')
    })
    if (view.driver !== driver) throw new TakenError()
    return view
  }

  /** How far the driver is. */
  async move (number: number, driver: string, progress: number): Promise<OrderView> {
    return this.#change(number, (order) => {
      if (order.get('driver') !== driver) throw new OutOfTurnError()
      order.set('progress', progress)
    })
  }

  /** The order ends, and who follows it is told. */
  async deliver (number: number, driver: string): Promise<void> {
    const order = await this.#orders.open(nameOf(number))
    if (order === undefined) throw new NoOrderError()
    if (order.get('driver') !== driver) throw new OutOfTurnError()
    order.end()
    await order.commit()
    await this.#tell()
  }

  /** Follows one order. */
  async follow (token: string, listener: (update: SessionUpdate) => unknown): Promise<Subscription | undefined> {
    return this.#orders.subscribe({ token }, listener)
  }

  /** Follows what happens to any of them. */
  async followAll (listener: () => unknown): Promise<Subscription | undefined> {
    const { token } = await this.#open()
    return this.#house.subscribe({ token }, listener)
  }

  async close (): Promise<void> {
    await this.#orders.close()
    await this.#house.close()
  }

  async #change (number: number, change: (order: Order) => void): Promise<OrderView> {
    const order = await this.#orders.open(nameOf(number))
    if (order === undefined) throw new NoOrderError()
    change(order)
    await order.commit()
    await this.#tell()
    return viewOf(order)
  }

  async #tell (): Promise<void> {
    const house = await this.#open()
    house.increment('news')
    await house.commit()
  }

  /** Whichever process is the first makes it. */
  async #open () {
    const name = us
    try {
      return await this.#house.open(name) ?? await this.#house.create({ name, shared: true })
    } catch (error) {
      const house = (error as { code?: string }).code === 'FST_SESSION_EXISTS' ? await this.#house.open(name) : undefined
      if (house === undefined) throw error
      return house
    }
  }
}

function nameOf (number: number): string {
  return `order ${number}`
}
