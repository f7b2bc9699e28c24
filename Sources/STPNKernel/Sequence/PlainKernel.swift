import CSTPN

/// The plain kernel's answer to a job: the bytes that were asked for (nil: more than there can be), or 0 after a run.
func runPlainKernel(_ job: Job) -> Int? {
    switch (job.cell, job.type) {
    case (.stpn(let cell), .float32): run(STPNEquations<Float>.self, cell, job)
    case (.stpn(let cell), .float64): run(STPNEquations<Double>.self, cell, job)
    }
}

private func run<E: Equations>(_: E.Type, _ cell: E.Description, _ job: Job) -> Int? {
    let sequence = PlainSequence<E>(cell, batch: job.batch, time: job.time)

    func tape(_ memory: UnsafeRawPointer) -> PlainTape<E.T> {
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
        case .forward, .step: _ = sequence.forwardScratch(&arena)
        case .backward: _ = sequence.backwardScratch(&arena)
        }
        return arena.requiredBytes
    case .forward(let buffers):
        var arena = Arena(workspace: buffers.workspace)
        sequence.forward(buffers, sequence.forwardScratch(&arena), buffers.tape.map { tape($0) })
    case .backward(let buffers):
        var arena = Arena(workspace: buffers.workspace)
        sequence.backward(buffers, sequence.backwardScratch(&arena), tape(buffers.tape))
    case .step(let buffers):
        var arena = Arena(workspace: buffers.workspace)
        sequence.step(buffers, sequence.forwardScratch(&arena))
    }
    return 0
}
