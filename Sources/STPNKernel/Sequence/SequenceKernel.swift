import CSTPN

/// A way to compute sequences of a cell, plain or fast: its memory, and the passes on it. What needs a workspace or a tape
/// lays it out in an arena, which measures as well.
protocol SequenceKernel {
    associatedtype Tape
    associatedtype ForwardScratch
    associatedtype BackwardScratch
    associatedtype StepScratch

    func tape(_ arena: inout Arena) -> Tape
    func forwardScratch(_ arena: inout Arena, _ tape: Tape?) -> ForwardScratch
    func backwardScratch(_ arena: inout Arena, _ tape: Tape) -> BackwardScratch
    func stepScratch(_ arena: inout Arena) -> StepScratch

    func forward(_ buffers: stpn_forward_buffers, _ scratch: ForwardScratch, _ tape: Tape?)
    func backward(_ buffers: stpn_backward_buffers, _ scratch: BackwardScratch, _ tape: Tape)
    func step(_ buffers: stpn_step_buffers, _ scratch: StepScratch)
}

extension SequenceKernel {
    /// Does the work of a job: the bytes that were asked for (nil: more than there can be), or 0 after a pass.
    func perform(_ work: Job.Work) -> Int? {
        var arena = Arena()
        switch work {
        case .measureTape:
            TapeHeader.skip(&arena)
            _ = tape(&arena)
            return arena.requiredBytes
        case .measureWorkspace(let pass):
            var tapeArena = Arena()
            switch pass {
            case .forward: _ = forwardScratch(&arena, nil)
            case .backward: _ = backwardScratch(&arena, tape(&tapeArena))
            case .step: _ = stepScratch(&arena)
            }
            return arena.requiredBytes
        case .forward(let buffers):
            arena = Arena(workspace: buffers.workspace)
            let tape: Tape? = if let memory = buffers.tape { self.tape(at: memory) } else { nil }
            forward(buffers, forwardScratch(&arena, tape), tape)
        case .backward(let buffers):
            arena = Arena(workspace: buffers.workspace)
            let tape = tape(at: buffers.tape)
            backward(buffers, backwardScratch(&arena, tape), tape)
        case .step(let buffers):
            arena = Arena(workspace: buffers.workspace)
            step(buffers, stepScratch(&arena))
        }
        return 0
    }

    private func tape(at memory: UnsafeRawPointer) -> Tape {
        var arena = Arena(tape: memory)
        TapeHeader.skip(&arena)
        return tape(&arena)
    }
}
