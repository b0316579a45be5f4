import type { DocumentStore } from 'ravendb'
import { note } from './entry.js'

/** Tells the drawer which documents are loaded and saved, with their change vectors: the names of their versions. */
export function watchDocuments (store: DocumentStore): void {
  store.addSessionListener('afterConversionToEntity', ({ id, document }) => {
    note({ what: 'loaded', text: `${short(id)} at ${version((document as Document)['@metadata']?.['@change-vector'])}` })
  })
  store.addSessionListener('beforeStore', (event) => {
    const seen = event.session.documentsByEntity.get(event.getEntity())?.changeVector
    note({ what: 'saving', text: `${short(event.documentId)}, ${seen ? `if it is still at ${version(seen)}` : 'a new one'}` })
  })
  store.addSessionListener('afterSaveChanges', ({ documentId, documentMetadata }) => {
    note({ what: 'saved', text: `${short(documentId)} is at ${version(documentMetadata['@change-vector'])} now`, tone: 'good' })
  })
}

interface Document { '@metadata'?: Record<string, unknown> }

/** Each part of a change vector ends in a database's id, which is the same in all of them. */
function version (changeVector: unknown): string {
  return String(changeVector ?? '?').replace(/-[\w+/]+/g, '')
}

/** The beginning is enough to tell two apart. */
function short (id: string): string {
  return id.replace(/(\/[\w-]{6})[\w-]+$/, '$1…')
}
