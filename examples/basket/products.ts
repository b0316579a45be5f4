/** What the shop sells; prices in cents. The picture of each is `public/art/<id>.svg`. */
export const products = [
  { id: 'lemons', name: 'Lemons', unit: 'three, from Amalfi', price: 290 },
  { id: 'sourdough', name: 'Sourdough', unit: 'a loaf, baked at five', price: 480 },
  { id: 'olive-oil', name: 'Olive oil', unit: 'half a litre', price: 1350 },
  { id: 'coffee', name: 'Coffee', unit: '250 g, in the bean', price: 920 },
  { id: 'tomatoes', name: 'Tomatoes', unit: '500 g, on the vine', price: 360 },
  { id: 'figs', name: 'Figs', unit: 'a bowl of six', price: 540 },
] as const

export type ProductId = typeof products[number]['id']

export const productIds = products.map(({ id }) => id)

export function priceOf (id: ProductId): number {
  return products.find((product) => product.id === id)?.price ?? 0
}
