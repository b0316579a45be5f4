import type { TokenSession } from 'fastify-request-session'

export const menu = [
  { id: 'margherita', name: 'Margherita', with: 'tomato, mozzarella, basil', price: 890 },
  { id: 'funghi', name: 'Funghi', with: 'mushrooms, thyme, garlic', price: 1050 },
  { id: 'diavola', name: 'Diavola', with: 'hot salami, chilli, olives', price: 1120 },
  { id: 'ortolana', name: 'Ortolana', with: 'courgette, peppers, rocket', price: 1080 },
] as const

export type PizzaId = typeof menu[number]['id']
export const pizzaIds = menu.map(({ id }) => id)

/** Where an order stands; delivered, it is a session no more. */
export type Stage = 'ordered' | 'baking' | 'ready' | 'on the way'

/** What the session of an order holds. */
export interface OrderData {
  number: number
  pizza: PizzaId
  customer: string
  stage: Stage
  /** Who has taken it along. */
  driver: string
  /** How much of the way is done, from 0 to 1. */
  progress: number
}

export type Order = TokenSession<OrderData>

/** What the session of the pizzeria holds, which all processes share. */
export interface PizzeriaData {
  /** Orders taken so far. */
  taken: number
  /** Counted up whenever something about the open orders changes: who looks at all of them follows this. */
  news: number
}

/** An order as the pages are told of it. */
export interface OrderView {
  number: number
  pizza: PizzaId
  customer: string
  stage: Stage
  driver: string | undefined
  progress: number
  /** Minutes until it is there, as we guess. */
  minutes: number
  /** Milliseconds until the order is given up. */
  left: number | null
}

/** Minutes that each stage takes, in their order. */
const minutesOf: Record<Stage, number> = { ordered: 3, baking: 7, ready: 2, 'on the way': 12 }
const stages = Object.keys(minutesOf) as Stage[]

export function viewOf (order: Order): OrderView {
  const stage = order.get('stage') ?? 'ordered'
  const progress = order.get('progress') ?? 0
  return {
    number: order.get('number') ?? 0,
    pizza: order.get('pizza') ?? 'margherita',
    customer: order.get('customer') ?? '',
    stage,
    driver: order.get('driver'),
    progress,
    minutes: minutesLeft(stage, progress),
    left: order.expiresAt && order.expiresAt.getTime() - Date.now(),
  }
}

function minutesLeft (stage: Stage, progress: number): number {
  if (stage === 'on the way') return Math.ceil(minutesOf[stage] * (1 - progress))
  return stages.slice(stages.indexOf(stage)).reduce((sum, later) => sum + minutesOf[later], 0)
}
