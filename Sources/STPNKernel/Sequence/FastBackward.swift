import CSTPN

/// Back through a sequence, from its tape.
extension FastSequence {
    /// Groups of blocks that sum gradients of their own: enough for many threads, few enough to add up quickly.
    private var groups: Int {
        var arena = Arena()
        _ = cell.gradients(&arena)
        let affordable = 64 * 1024 * 1024 / max(arena.byteCount ?? Int.max, 1)
        return max(1, min(blocks, affordable, max(8, min(blocks / 4, 64))))
    }

    private var stepsPerSegment: Int { cell.stepsAtOnce(T, samples: blockSize) }

    private var segments: Int { T == 0 ? 1 : (T + stepsPerSegment - 1) / stepsPerSegment }

    private func steps(_ segment: Int) -> Range<Int> {
        segment * stepsPerSegment..<min(T, (segment + 1) * stepsPerSegment)
    }

    /// The steps whose recomputation gives the synapses that a segment needs.
    private func replayed(_ segment: Int) -> Range<Int> {
        max(0, segment * stepsPerSegment - stepsInFront)..<steps(segment).upperBound
    }

    /// Replayed with a segment: the step before, if the first pass of the segment ends it.
    private var stepsInFront: Int { cell.endsStepBefore ? 1 : 0 }

    struct BackwardScratch {
        /// One for each group.
        let gradients: [C.Gradients]
        /// One for each thread.
        let blocks: [C.Backward]
    }

    @inline(never)
    func backwardScratch(_ arena: inout Arena, _ tape: FastTape<C>) -> BackwardScratch {
        let gradients = (0..<groups).map { _ in cell.gradients(&arena) }
        let steps = min(T, stepsPerSegment + stepsInFront)
        let blocks = (0..<threads).map { _ in
            cell.backwardBlock(
                &arena, tape.parameters, tape.trace, samples: blockSize, steps: steps, segments: segments)
        }
        return BackwardScratch(gradients: gradients, blocks: blocks)
    }

    func backward(_ buffers: stpn_backward_buffers, _ scratch: BackwardScratch, _ tape: FastTape<C>) {
        if T == 0 {
            for i in states.indices {
                passState(buffers.grad_final.array(i, Number.self), buffers.grad_state.array(i, Number.self), i)
            }
        }
        let (groups, blocks) = (groups, T == 0 ? 0 : blocks)
        parallelFor(groups, threads: threads) { group, slot in
            cell.zero(scratch.gradients[group])
            for block in blocks * group / groups..<blocks * (group + 1) / groups {
                for index in 0..<cell.slices {
                    let slice = scratch.blocks[slot].slice(index, wantsGradX: buffers.grad_x != nil)
                    backward(samples(block), slice, scratch.gradients[group], buffers, tape)
                }
            }
        }
        guard let gradParameters = buffers.grad_parameters else { return }
        let targets = cell.description.parameterIndices.map { index in
            index.flatMap { Optional(gradParameters).array($0, Number.self) }
        }
        parallelFor(H, threads: threads) { j, _ in
            cell.writeSum(of: scratch.gradients, tape.parameters, row: j, to: targets)
        }
        cell.writeTotal(of: scratch.gradients, tape.parameters, to: targets)
    }

    private func backward(
        _ samples: Range<Int>, _ block: C.Backward, _ gradients: C.Gradients, _ buffers: stpn_backward_buffers,
        _ tape: FastTape<C>
    ) {
        let (first, count) = (samples.lowerBound, samples.count)
        let gradY = buffers.grad_y?.assumingMemoryBound(to: Number.self)
        let gradX = buffers.grad_x?.assumingMemoryBound(to: Number.self)

        func isReset(_ s: Int, _ t: Int) -> Bool { tape.resets[(first + s) * T + t] != 0 }
        func replay(_ segment: Int) {
            for s in 0..<count {
                if segment == 0 {
                    block.load(s) { state($0, first + s, tape) }
                } else {
                    block.load(s, checkpoint: segment)
                }
            }
            block.replay(0..<count, first, steps: replayed(segment), reset: isReset)
        }
        func pass<P: Phase, let N: Int>(_: P.Type, _: Samples<N>.Type, _ s: Int, _ t: Int, _ origin: Int) {
            block.pass(P.self, Samples<N>.self, s, first + s, t: t, origin: origin, gradients)
        }
        func turn(_ s: Int, _ t: Int, _ origin: Int) {
            if cell.fusesSteps { return pass(UpdateAndRead.self, Samples<1>.self, s, t, origin) }
            pass(Read.self, Samples<1>.self, s, t, origin)
            pass(Update.self, Samples<1>.self, s, t, origin)
        }
        func goBack(_ t: Int, _ origin: Int) {
            var someReset = false
            for s in 0..<count {
                let gradY = gradY.map { $0 + ((first + s) * T + t) * H }
                block.fireAdjoint(s, first + s, t: t, origin: origin, gradY: gradY, gradients)
                someReset = someReset || isReset(s, t)
            }
            if t > 0 && !someReset && count == WholeBlock.count && cell.fusesSteps {
                pass(UpdateAndRead.self, WholeBlock.self, 0, t, origin)
            } else {
                for s in 0..<count {
                    t == 0 || isReset(s, t) ? pass(Read.self, Samples<1>.self, s, t, origin) : turn(s, t, origin)
                }
            }
            for s in 0..<count {
                block.leave(s, t: t, origin: origin, gradX: gradX.map { $0 + ((first + s) * T + t) * I })
                if isReset(s, t) { block.reset(s, t: t, origin: origin) }
                block.turn(s)
            }
        }

        // The synapses are the states with rows.
        let endsWithGradient = states.indices.contains {
            states[$0].shape.rank == 2 && buffers.grad_final.array($0, Number.self) != nil
        }
        for segment in 0..<segments {
            replay(segment)
            if segment + 1 < segments {
                let steps = replayed(segment).lowerBound..<replayed(segment + 1).lowerBound
                for s in 0..<count { block.save(s, first + s, checkpoint: segment + 1, steps: steps) }
            }
        }
        for s in 0..<count {
            block.begin(s) { buffers.grad_final.array($0, Number.self, sample: first + s, of: states[$0]) }
        }
        for segment in (0..<segments).reversed() {
            let origin = replayed(segment).lowerBound
            if segment + 1 < segments {
                replay(segment)
            } else if endsWithGradient {
                for s in 0..<count {
                    pass(Update.self, Samples<1>.self, s, T, origin)
                    block.turn(s)
                }
            }
            for t in steps(segment).reversed() { goBack(t, origin) }
        }
        for s in 0..<count {
            block.end(s) { buffers.grad_state.array($0, Number.self, sample: first + s, of: states[$0]) }
        }
    }
}
