/** A method as it is found. */
export type Method = (this: object, ...args: unknown[]) => unknown

/**
 * Gives an object of a driver methods of ours without touching the driver: a prototype in front of its own, made once
 * for each class. It stays an object of that class. Set what the methods need before: a property that is added behind
 * the new prototype would give each object a hidden class of its own in V8.
 *
 * @param prototypes those that were made
 * @param fill gives a new prototype, which inherits from the driver's, its methods
 */
export function derive (target: object, prototypes: WeakMap<object, object>, fill: (prototype: object) => void): void {
  const original = Object.getPrototypeOf(target) as object
  let derived = prototypes.get(original)
  if (derived === undefined) {
    derived = Object.create(original) as object
    fill(derived)
    prototypes.set(original, derived)
  }
  Object.setPrototypeOf(target, derived)
}

/** A method that some version of the driver may not have is left out. */
export function override<This> (target: object, name: string | symbol, wrap: (method: Method) => (this: This, ...args: never[]) => unknown): void {
  const method: unknown = find(target, name)?.value
  if (typeof method === 'function') define(target, name, { value: wrap(method as Method), writable: true })
}

/** What an object or a prototype has of its own or inherits. */
export function find (start: object, name: string | symbol): PropertyDescriptor | undefined {
  for (let object: object | null = start; object !== null; object = Object.getPrototypeOf(object) as object | null) {
    const descriptor = Object.getOwnPropertyDescriptor(object, name)
    if (descriptor !== undefined) return descriptor
  }
  return undefined
}

export function define (target: object, name: string | symbol, descriptor: PropertyDescriptor): void {
  Object.defineProperty(target, name, { configurable: true, ...descriptor })
}
