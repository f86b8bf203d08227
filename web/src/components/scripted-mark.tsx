/** Says that a declared stand-in answered instead of a model. */
export function ScriptedMark() {
  return (
    <span
      title="The model of this run is a script, not a language model"
      className="rounded-sm border border-dashed border-line-strong px-1 font-mono text-meta text-ink-2"
    >
      scripted
    </span>
  )
}
