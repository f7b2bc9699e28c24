import CSTPN

/// What the fast kernel keeps for its backward pass.
struct FastTape<C: FastCell> {
    let parameters: C.Parameters
    let trace: C.Trace
    /// Bit i: state number i was given, and is not zeros.
    let given: UnsafeMutablePointer<UInt64>  // (1)
    let states: UnsafeMutablePointer<C.Number>  // state number i, (B,shape), behind those before it
    let resets: UnsafeMutablePointer<UInt8>  // (B,T)
}

/// The driver of the fast kernel: blocks of samples over threads, step after step, forward and back.
///
/// Samples meet only in the gradients for the parameters. These are summed within groups of blocks in the order of the
/// batch, and then over the groups in their order; the groups depend on sizes alone. So no result depends on the number
/// of threads.
struct FastSequence<C: FastCell>: SequenceKernel {
    typealias Number = C.Number

    let cell: C
    let states: [ArrayInfo]
    /// Numbers in the states of a sample.
    let S: Int
    let B: Int
    let T: Int
    let I: Int
    let H: Int
    let threads: Int
    /// Samples of a block; the last one may have fewer.
    let blockSize: Int

    init(_ cell: C, batch: Int, time: Int, threads: Int) {
        self.cell = cell
        states = cell.description.states
        S = states.reduce(0) { $0 + $1.shape.count }
        (B, T, I, H) = (batch, time, cell.description.inputSize, cell.description.hiddenSize)
        blockSize = min(WholeBlock.count, max(1, batch))
        let blocks = Self.blocks(batch, blockSize)
        let work = Double(batch) * Double(time) * Double(cell.synapses)
        self.threads = work < Self.workWorthAThread ? 1 : max(1, min(threads, blocks))
    }

    /// Synapses times steps that take about as long as to wake a sleeping thread, a few times over.
    private static var workWorthAThread: Double { 200_000 }

    private static func blocks(_ batch: Int, _ blockSize: Int) -> Int { (batch + blockSize - 1) / blockSize }

    private var blocks: Int { Self.blocks(B, blockSize) }

    private func samples(_ block: Int) -> Range<Int> {
        block * blockSize..<min(B, (block + 1) * blockSize)
    }

    func tape(_ arena: inout Arena) -> FastTape<C> {
        FastTape(
            parameters: cell.parameters(&arena), trace: cell.trace(&arena, samples: B, slots: T),
            given: arena.take(UInt64.self, 1), states: arena.take(Number.self, B, S),
            resets: arena.take(UInt8.self, B, T))
    }

    /// The part of the tape's state number `index` that is sample b's.
    private func state(_ index: Int, _ b: Int, _ tape: FastTape<C>) -> UnsafePointer<Number>? {
        guard tape.given.pointee & (1 << UInt64(index)) != 0 else { return nil }
        let before = states[..<index].reduce(0) { $0 + $1.shape.count }
        return UnsafePointer(tape.states + B * before + b * states[index].shape.count)
    }

    // MARK: Forward

    struct ForwardScratch {
        let parameters: C.Parameters
        /// One for each thread.
        let blocks: [C.Forward]
    }

    /// What steps leave goes to the tape if there is one, else to scratch memory for the step that ends and the next. Room for
    /// that is there in any case: the size of a workspace does not depend on the tape.
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
        guard T > 0 else {
            for i in states.indices {
                passState(buffers.state.array(i, Number.self), buffers.final_state.array(i, Number.self), i)
            }
            return
        }
        cell.pack(buffers.parameters, into: scratch.parameters)
        parallelFor(blocks, threads: threads) { index, slot in
            forward(samples(index), scratch.blocks[slot], buffers, tape)
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

    /// Without a step, a state or its gradient passes unchanged.
    private func passState(_ from: UnsafePointer<Number>?, _ to: UnsafeMutablePointer<Number>?, _ index: Int) {
        let count = B * states[index].shape.count
        if let from { to?.copy(from, count) } else { to?.zero(count) }
    }

    private func forward(
        _ samples: Range<Int>, _ block: C.Forward, _ buffers: stpn_forward_buffers, _ tape: FastTape<C>?
    ) {
        let (first, count) = (samples.lowerBound, samples.count)
        let x = buffers.x.assumingMemoryBound(to: Number.self)
        let y = buffers.y.assumingMemoryBound(to: Number.self)
        // The block's place in the trace
        let place = tape == nil ? 0 : first

        func isReset(_ s: Int, _ t: Int) -> Bool { (buffers.resets?[(first + s) * T + t] ?? 0) != 0 }
        func pass<P: Phase>(_: P.Type, _ s: Int, _ t: Int) {
            block.pass(P.self, Samples<1>.self, s, place + s, t: t)
        }

        for s in 0..<count {
            block.begin(s, place + s) { buffers.state.array($0, Number.self, sample: first + s, of: states[$0]) }
        }
        for t in 0..<T {
            var someReset = false
            for s in 0..<count {
                block.enter(s, place + s, t: t, x: x + ((first + s) * T + t) * I)
                if isReset(s, t) {
                    block.reset(s, place + s, t: t)
                    someReset = true
                }
            }
            if t > 0 && !someReset && count == WholeBlock.count {
                block.pass(UpdateAndRead.self, WholeBlock.self, 0, place, t: t)
            } else {
                for s in 0..<count {
                    t == 0 || isReset(s, t) ? pass(Read.self, s, t) : pass(UpdateAndRead.self, s, t)
                }
            }
            for s in 0..<count {
                block.fire(s, place + s, t: t, hasNext: t + 1 < T, y: y + ((first + s) * T + t) * H)
            }
        }
        if buffers.final_state != nil || (tape != nil && cell.traceHoldsEnd) {
            for s in 0..<count {
                pass(Update.self, s, T)
                block.end(s, place + s, t: T - 1) {
                    buffers.final_state.array($0, Number.self, sample: first + s, of: states[$0])
                }
            }
        }
    }

    // MARK: Step

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
        sequence.x = buffers.x
        sequence.parameters = buffers.parameters
        sequence.state = UnsafeRawPointer(buffers.state)?.assumingMemoryBound(to: UnsafeRawPointer?.self)
        forward(sequence, scratch.forward, nil)
    }

    // MARK: Backward

    /// Groups of blocks that sum gradients of their own: enough for many threads, few enough to add up quickly.
    private var groups: Int {
        guard T > 0 else { return 0 }
        var arena = Arena()
        _ = cell.gradients(&arena)
        let affordable = 64 * 1024 * 1024 / max(arena.byteCount ?? Int.max, 1)
        return min(blocks, max(8, min(blocks / 4, 64, affordable)))
    }

    /// How many steps are recomputed at a time: all where a block's states stay in the cache, else so many that the states
    /// in between and the beginnings of the segments take about the same room.
    private var stepsPerSegment: Int {
        let bytes = Double(T) * Double(blockSize * cell.synapses) * Double(MemoryLayout<Number>.size)
        if bytes <= Self.bytesRecomputedAtOnce { return T }
        return min(T, max(8, Int(Double(T).squareRoot().rounded(.up))))
    }

    private static var bytesRecomputedAtOnce: Double { 4 * 1024 * 1024 }

    private var segments: Int { T == 0 ? 1 : (T + stepsPerSegment - 1) / stepsPerSegment }

    private func steps(_ segment: Int) -> Range<Int> {
        segment * stepsPerSegment..<min(T, (segment + 1) * stepsPerSegment)
    }

    /// The steps whose recomputation gives the synapses that a segment needs: also those before the step in front of it.
    private func replayed(_ segment: Int) -> Range<Int> {
        max(0, segment * stepsPerSegment - 1)..<steps(segment).upperBound
    }

    struct BackwardScratch {
        /// One for each group.
        let gradients: [C.Gradients]
        /// One for each thread.
        let blocks: [C.Backward]
    }

    func backwardScratch(_ arena: inout Arena, _ tape: FastTape<C>) -> BackwardScratch {
        let gradients = (0..<groups).map { _ in cell.gradients(&arena) }
        let blocks = (0..<threads).map { _ in
            cell.backwardBlock(
                &arena, tape.parameters, tape.trace, samples: blockSize, steps: min(T, stepsPerSegment + 1),
                segments: segments)
        }
        return BackwardScratch(gradients: gradients, blocks: blocks)
    }

    func backward(_ buffers: stpn_backward_buffers, _ scratch: BackwardScratch, _ tape: FastTape<C>) {
        if T == 0 {
            for i in states.indices {
                passState(buffers.grad_final.array(i, Number.self), buffers.grad_state.array(i, Number.self), i)
            }
        }
        let groups = groups
        parallelFor(groups, threads: threads) { group, slot in
            cell.zero(scratch.gradients[group])
            for block in blocks * group / groups..<blocks * (group + 1) / groups {
                backward(samples(block), scratch.blocks[slot], scratch.gradients[group], buffers, tape)
            }
        }
        guard let gradParameters = buffers.grad_parameters else { return }
        parallelFor(H, threads: threads) { j, _ in
            cell.writeSum(of: scratch.gradients, row: j, to: gradParameters)
        }
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
                block.replay(s, first + s, steps: replayed(segment)) { isReset(s, $0) }
            }
        }
        func pass<P: Phase>(_: P.Type, _ s: Int, _ t: Int, _ origin: Int) {
            block.pass(P.self, Samples<1>.self, s, first + s, t: t, origin: origin, gradients)
        }
        func goBack(_ t: Int, _ origin: Int) {
            var someReset = false
            for s in 0..<count {
                block.fireAdjoint(s, first + s, t: t, gradY: gradY.map { $0 + ((first + s) * T + t) * H }, gradients)
                someReset = someReset || isReset(s, t)
            }
            if t > 0 && !someReset && count == WholeBlock.count {
                block.pass(UpdateAndRead.self, WholeBlock.self, 0, first, t: t, origin: origin, gradients)
            } else {
                for s in 0..<count {
                    t == 0 || isReset(s, t)
                        ? pass(Read.self, s, t, origin) : pass(UpdateAndRead.self, s, t, origin)
                }
            }
            for s in 0..<count {
                block.leave(s, gradX: gradX.map { $0 + ((first + s) * T + t) * I })
                if isReset(s, t) { block.reset(s) }
            }
        }

        for segment in 0..<segments {
            replay(segment)
            if segment + 1 < segments {
                let steps = replayed(segment + 1).lowerBound - replayed(segment).lowerBound
                for s in 0..<count { block.save(s, checkpoint: segment + 1, after: steps) }
            }
        }
        for s in 0..<count {
            block.begin(s) { buffers.grad_final.array($0, Number.self, sample: first + s, of: states[$0]) }
        }
        for segment in (0..<segments).reversed() {
            let origin = replayed(segment).lowerBound
            if segment + 1 < segments {
                replay(segment)
            } else if buffers.grad_final.array(cell.synapseState, Number.self) != nil {
                for s in 0..<count { pass(Update.self, s, T, origin) }
            }
            for t in steps(segment).reversed() { goBack(t, origin) }
        }
        for s in 0..<count {
            block.end(s) { buffers.grad_state.array($0, Number.self, sample: first + s, of: states[$0]) }
        }
    }
}
