import type { AgentDefinition } from './api'

const SCRIPTED = 'scripted'

export const modelOf = (definition: AgentDefinition): string =>
  typeof definition.model === 'string' ? definition.model : ''

/** Whether a declared script stands in for a language model. */
export const isScripted = (definition: AgentDefinition): boolean => modelOf(definition) === SCRIPTED

export const toolsOf = (definition: AgentDefinition): string[] =>
  Array.isArray(definition.tools)
    ? definition.tools.filter((one): one is string => typeof one === 'string')
    : []
