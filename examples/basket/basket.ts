import { randomInt } from 'node:crypto'
import type { TokenSession } from 'fastify-request-session'
import { priceOf, type ProductId } from './products.js'

/** What a visitor's session holds. */
export interface BasketData {
  lines: Lines
  /** Of the last checkout, until the visitor goes on shopping. */
  receipt: Receipt
}

export type Basket = TokenSession<BasketData>

/** Quantities by product, in the order in which they were put in. */
export type Lines = { [product in ProductId]?: number }

export interface PricedLine {
  product: ProductId
  quantity: number
  /** Cents. */
  sum: number
}

export interface Receipt {
  number: string
  paidAt: string
  lines: PricedLine[]
  total: number
}

/** A basket as the page is told of it. */
export interface BasketView {
  lines: PricedLine[]
  /** Cents. */
  total: number
  receipt: Receipt | undefined
  /** Seconds that it lives without being used. */
  ttl: number | null
  /** Milliseconds until it expires: a clock that is wrong in the browser does no harm. `null` if there is no basket yet. */
  left: number | null
}

export const maxQuantity = 9

export function viewOf (basket: Basket): BasketView {
  const lines = pricedLines(basket.get('lines') ?? {})
  const exists = !basket.isNew || basket.size > 0
  const left = exists && basket.expiresAt !== null ? basket.expiresAt.getTime() - Date.now() : null
  return { lines, total: totalOf(lines), receipt: basket.get('receipt'), ttl: basket.ttl, left }
}

/** The lines with one quantity set: at most `maxQuantity`, and none at 0. */
export function withQuantity (lines: Lines, product: ProductId, quantity: number): Lines {
  const { [product]: _, ...others } = lines
  return quantity === 0 ? others : { ...lines, [product]: Math.min(quantity, maxQuantity) }
}

export function receiptFor (lines: PricedLine[]): Receipt {
  return { number: `W-${randomInt(1000, 10_000)}`, paidAt: new Date().toISOString(), lines, total: totalOf(lines) }
}

function pricedLines (lines: Lines): PricedLine[] {
  return Object.entries(lines).map(([id, quantity]) => {
    const product = id as ProductId
    return { product, quantity, sum: quantity * priceOf(product) }
  })
}

function totalOf (lines: readonly PricedLine[]): number {
  return lines.reduce((total, { sum }) => total + sum, 0)
}
