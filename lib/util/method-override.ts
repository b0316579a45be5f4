/** A method of a driver's object. */
export type Method = (this: object, ...args: unknown[]) => unknown

/**
 * Puts a prototype of ours between an object and its class, made once for each class. The object remains an instance of
 * that class, and the class itself is not changed. Properties that our methods need must be set before: one that is added
 * behind the new prototype gives each object a hidden class of its own in V8.
 *
 * @param prototypes the prototypes made so far, by the class's own
 * @param addMethods gives a new prototype its methods
 */
export function insertPrototype (target: object, prototypes: WeakMap<object, object>, addMethods: (prototype: object) => void): void {
  const original = Object.getPrototypeOf(target) as object
  let inserted = prototypes.get(original)
  if (inserted === undefined) {
    inserted = Object.create(original) as object
    addMethods(inserted)
    prototypes.set(original, inserted)
  }
  Object.setPrototypeOf(target, inserted)
}

/** Replaces a method by one that is made from it. A method that this version of the driver lacks is skipped. */
export function overrideMethod<This> (target: object, name: string | symbol, wrap: (method: Method) => (this: This, ...args: never[]) => unknown): void {
  const method: unknown = findProperty(target, name)?.value
  if (typeof method === 'function') defineProperty(target, name, { value: wrap(method as Method), writable: true })
}

/** The descriptor of a property that an object has or inherits. */
export function findProperty (start: object, name: string | symbol): PropertyDescriptor | undefined {
  for (let object: object | null = start; object !== null; object = Object.getPrototypeOf(object) as object | null) {
    const descriptor = Object.getOwnPropertyDescriptor(object, name)
    if (descriptor !== undefined) return descriptor
  }
  return undefined
}

/** Defines a property that can be redefined later, and is not enumerated. */
export function defineProperty (target: object, name: string | symbol, descriptor: PropertyDescriptor): void {
  Object.defineProperty(target, name, { configurable: true, ...descriptor })
}
