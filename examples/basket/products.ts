/** What the shop sells; prices in cents. The picture of each is `public/art/<id>.svg`. */
export const products = [
  { id: 'lemons', name: 'Amalfi lemons', unit: 'three, leaves on', price: 290 },
  { id: 'sourdough', name: 'Sourdough', unit: 'a loaf, baked at five', price: 480 },
  { id: 'olive-oil', name: 'Olive oil', unit: 'half a litre, first press', price: 1350 },
  { id: 'coffee', name: 'Coffee beans', unit: '250 g, roasted on Monday', price: 920 },
  { id: 'tomatoes', name: 'Vine tomatoes', unit: '500 g', price: 360 },
  { id: 'honey', name: 'Lime honey', unit: 'a jar, 340 g', price: 740 },
  { id: 'cheese', name: 'Mountain cheese', unit: 'a wedge, a year old', price: 860 },
  { id: 'figs', name: 'Fresh figs', unit: 'a bowl of six', price: 540 },
] as const

export type ProductId = typeof products[number]['id']

export const productIds = products.map(({ id }) => id)

export function priceOf (id: ProductId): number {
  return products.find((product) => product.id === id)?.price ?? 0
}
