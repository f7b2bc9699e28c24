import CSTPN

/// The beginning of every tape: which call wrote it. A backward pass that is given another cell's tape, or one of other
/// sizes, refuses it before it reads on.
struct TapeHeader {
    private let magic: UInt64 = 0x3120_6570_6154_5053  // "SPTape 1"
    private let cell: stpn_cell
    private let batch: Int64
    private let time: Int64
    private let implementation: Int64

    init(_ job: Job, implementation: Int32) {
        cell = job.description
        (batch, time) = (Int64(job.batch), Int64(job.time))
        self.implementation = Int64(implementation)
    }

    static func skip(_ arena: inout Arena) {
        _ = arena.take(TapeHeader.self, 1)
    }

    func write(_ tape: UnsafeMutableRawPointer) {
        var arena = Arena(tape: tape)
        arena.take(TapeHeader.self, 1).initialize(to: self)
    }

    /// Whether a tape begins with this header: byte for byte, as anything may stand there. The struct has no padding.
    func matches(_ tape: UnsafeRawPointer) -> Bool {
        withUnsafeBytes(of: self) { expected in
            expected.indices.allSatisfy { expected[$0] == tape.load(fromByteOffset: $0, as: UInt8.self) }
        }
    }
}
