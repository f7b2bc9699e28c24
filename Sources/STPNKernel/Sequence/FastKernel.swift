import CSTPN

#if STPN_X86_64_V3
@_cdecl("stpn_kernel_x86_64_v3")
func kernel(_ job: UnsafeRawPointer) { _ = runFastKernel(job.assumingMemoryBound(to: Job.self).pointee) }
#elseif STPN_X86_64_V4
@_cdecl("stpn_kernel_x86_64_v4")
func kernel(_ job: UnsafeRawPointer) { _ = runFastKernel(job.assumingMemoryBound(to: Job.self).pointee) }
#endif

/// The fast kernel's answer to a job: the bytes that were asked for (nil: more than there can be), or 0 after a run.
func runFastKernel(_ job: Job) -> Int? {
    switch (job.cell, job.type) {
    case (.stpn(let cell), .float32): run(STPNFast<Float>(cell), job)
    case (.stpn(let cell), .float64): run(STPNFast<Double>(cell), job)
    }
}

private func run<C: FastCell>(_ cell: C, _ job: Job) -> Int? {
    let sequence = FastSequence(cell, batch: job.batch, time: job.time, threads: job.threads)

    func tape(_ memory: UnsafeRawPointer) -> FastTape<C> {
        var arena = Arena(tape: memory)
        TapeHeader.skip(&arena)
        return sequence.tape(&arena)
    }

    switch job.work {
    case .measureTape:
        var arena = Arena()
        TapeHeader.skip(&arena)
        _ = sequence.tape(&arena)
        return arena.requiredBytes
    case .measureWorkspace(let pass):
        var arena = Arena()
        switch pass {
        case .forward: _ = sequence.forwardScratch(&arena, nil)
        case .step:
            _ = sequence.forwardScratch(&arena, nil)
            _ = arena.take(C.Number.self, job.batch, cell.description.hiddenSize)
        case .backward:
            var unused = Arena()
            _ = sequence.backwardScratch(&arena, sequence.tape(&unused))
        }
        return arena.requiredBytes
    case .forward(let buffers):
        var arena = Arena(workspace: buffers.workspace)
        let tape = buffers.tape.map { tape($0) }
        sequence.forward(buffers, sequence.forwardScratch(&arena, tape), tape)
    case .backward(let buffers):
        var arena = Arena(workspace: buffers.workspace)
        let tape = tape(buffers.tape)
        sequence.backward(buffers, sequence.backwardScratch(&arena, tape), tape)
    case .step(let buffers):
        var arena = Arena(workspace: buffers.workspace)
        let scratch = sequence.forwardScratch(&arena, nil)
        let y = arena.take(C.Number.self, job.batch, cell.description.hiddenSize)
        sequence.forward(stpn_forward_buffers(step: buffers, y: y), scratch, nil)
    }
    return 0
}

extension stpn_forward_buffers {
    /// A step is a sequence of one whose final state goes where its initial state was; `y` serves where none is wanted.
    fileprivate init(step: stpn_step_buffers, y: UnsafeMutableRawPointer) {
        self.init()
        self.y = step.y ?? y
        final_state = step.state
        x = step.x
        parameters = step.parameters
        state = UnsafeRawPointer(step.state)?.assumingMemoryBound(to: UnsafeRawPointer?.self)
    }
}
