import type { TokenSession } from 'fastify-request-session'
import type { PizzaId } from './orders.js'

/** One delivery of a shift. */
export interface Delivery {
  pizza: PizzaId
  customer: string
  deliveredAt: string | null
}

/** What the session of a driver's shift holds: a key for each delivery. */
export type ShiftData = { driver: string } & Record<DeliveryKey, Delivery>

type DeliveryKey = `delivery ${number}`

export function deliveryKey (number: number): DeliveryKey {
  return `delivery ${number}`
}

/** A shift as the driver's page is told of it. */
export interface ShiftView {
  driver: string | undefined
  deliveries: Array<Delivery & { number: number }>
}

export function shiftView (shift: TokenSession<ShiftData>): ShiftView {
  const deliveries = [...shift.entries()].flatMap(([key, value]) =>
    typeof value === 'object' ? [{ number: Number(key.slice('delivery '.length)), ...value }] : [])
  return { driver: shift.get('driver'), deliveries: deliveries.sort((a, b) => a.number - b.number) }
}
