import CSTPN

/// Forward, a whole sequence or a step.
extension FastSequence {
    struct ForwardScratch {
        let parameters: C.Parameters
        /// One for each thread.
        let blocks: [C.Forward]
    }

    /// What steps leave goes to the tape if there is one, else to scratch memory for the step that ends and the next. Room for
    /// that is there in any case: the size of a workspace does not depend on the tape.
    @inline(never)
    func forwardScratch(_ arena: inout Arena, _ tape: FastTape<C>?) -> ForwardScratch {
        let scratch = cell.parameters(&arena)
        let parameters = tape?.parameters ?? scratch
        var blocks: [C.Forward] = []
        for _ in 0..<threads {
            let trace = cell.trace(&arena, samples: blockSize, slots: 2)
            blocks.append(cell.forwardBlock(&arena, parameters, tape?.trace ?? trace, samples: blockSize))
        }
        return ForwardScratch(parameters: parameters, blocks: blocks)
    }

    func forward(_ buffers: stpn_forward_buffers, _ scratch: ForwardScratch, _ tape: FastTape<C>?) {
        if let tape { record(buffers, tape) }
        cell.pack(buffers.parameters, into: scratch.parameters)
        guard T > 0 else {
            for i in states.indices {
                passState(buffers.state.array(i, Number.self), buffers.final_state.array(i, Number.self), i)
            }
            return
        }
        parallelFor(blocks, threads: threads) { index, slot in
            for slice in 0..<cell.slices {
                forward(samples(index), scratch.blocks[slot].slice(slice), buffers, tape)
            }
        }
    }

    private func record(_ buffers: stpn_forward_buffers, _ tape: FastTape<C>) {
        tape.given.pointee = 0
        var target = tape.states
        for i in states.indices {
            let count = B * states[i].shape.count
            if let given = buffers.state.array(i, Number.self) {
                tape.given.pointee |= 1 << UInt64(i)
                target.copy(given, count)
            }
            target += count
        }
        for bt in 0..<B * T {
            tape.resets[bt] = buffers.resets?[bt] ?? 0
        }
    }

    private func forward(
        _ samples: Range<Int>, _ block: C.Forward, _ buffers: stpn_forward_buffers, _ tape: FastTape<C>?
    ) {
        let (first, count) = (samples.lowerBound, samples.count)
        let x = buffers.x.assumingMemoryBound(to: Number.self)
        let y = buffers.y.assumingMemoryBound(to: Number.self)
        let energy = buffers.energy?.assumingMemoryBound(to: Number.self)
        // The block's place in the trace
        let place = tape == nil ? 0 : first

        func isReset(_ s: Int, _ t: Int) -> Bool { (buffers.resets?[(first + s) * T + t] ?? 0) != 0 }
        func pass<P: Phase, let N: Int>(_: P.Type, _: Samples<N>.Type, _ s: Int, _ t: Int) {
            block.pass(P.self, Samples<N>.self, s, place + s, t: t, wantsEnergy: energy != nil)
        }
        func turn(_ s: Int, _ t: Int) {
            if cell.fusesSteps { return pass(UpdateAndRead.self, Samples<1>.self, s, t) }
            pass(Update.self, Samples<1>.self, s, t)
            pass(Read.self, Samples<1>.self, s, t)
        }

        for s in 0..<count {
            block.begin(s, place + s) { buffers.state.array($0, Number.self, sample: first + s, of: states[$0]) }
        }
        for t in 0..<T {
            var someReset = false
            for s in 0..<count {
                block.enter(s, place + s, t: t, x: x + ((first + s) * T + t) * I, steps: T - t)
                if isReset(s, t) {
                    block.reset(s, place + s, t: t)
                    someReset = true
                }
            }
            if t > 0 && !someReset && count == WholeBlock.count && cell.fusesSteps {
                pass(UpdateAndRead.self, WholeBlock.self, 0, t)
            } else {
                for s in 0..<count {
                    t == 0 || isReset(s, t) ? pass(Read.self, Samples<1>.self, s, t) : turn(s, t)
                }
            }
            for s in 0..<count {
                let out = ((first + s) * T + t) * H
                block.fire(
                    s, place + s, t: t, hasNext: t + 1 < T, y: y + out, energy: energy.map { $0 + out })
            }
        }
        if buffers.final_state != nil || (tape != nil && cell.traceHoldsEnd) {
            if count == WholeBlock.count {
                pass(Update.self, WholeBlock.self, 0, T)
            } else {
                for s in 0..<count { pass(Update.self, Samples<1>.self, s, T) }
            }
            for s in 0..<count {
                block.end(s, place + s, t: T - 1) {
                    buffers.final_state.array($0, Number.self, sample: first + s, of: states[$0])
                }
            }
        }
    }

    struct StepScratch {
        let forward: ForwardScratch
        /// Where none is wanted
        let y: UnsafeMutablePointer<Number>  // (B,H)
    }

    func stepScratch(_ arena: inout Arena) -> StepScratch {
        StepScratch(forward: forwardScratch(&arena, nil), y: arena.take(Number.self, B, H))
    }

    /// A step is a sequence of one whose final state goes where its initial state was: a block reads the one before it
    /// writes the other.
    func step(_ buffers: stpn_step_buffers, _ scratch: StepScratch) {
        var sequence = stpn_forward_buffers()
        sequence.y = buffers.y ?? UnsafeMutableRawPointer(scratch.y)
        sequence.final_state = buffers.state
        sequence.energy = buffers.energy
        sequence.x = buffers.x
        sequence.parameters = buffers.parameters
        sequence.state = UnsafeRawPointer(buffers.state)?.assumingMemoryBound(to: UnsafeRawPointer?.self)
        forward(sequence, scratch.forward, nil)
    }
}
