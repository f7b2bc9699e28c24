import CSTPN

@testable import STPNKernel

/// What a run is given, in float64.
struct RunInput {
    var cell: stpn_cell
    var batch: Int
    var time: Int
    var x: [Double]
    var parameters: [[Double]]
    /// nil: zeros
    var state: [[Double]?]
    var resets: [UInt8]?
    var gradY: [Double]
    /// nil: zeros
    var gradFinal: [[Double]?]
}

/// A sequence, forward and backward, through the C entry points, on guarded buffers.
struct Run<T: Real> {
    let y: [T]
    let energy: [T]
    let final: [[T]]
    let gradX: [T]
    let gradParameters: [[T]]
    let gradState: [[T]]

    enum Problem: Error {
        case status(String)
        case overrun(String)
    }

    init(
        _ input: RunInput, _ implementation: Implementation, threads: Int32 = 1, wantsFinal: Bool = true
    ) throws {
        var cell = input.cell
        cell.dtype = (T.self == Float.self ? NumberType.float32 : .float64).rawValue
        var run = stpn_run()
        run.struct_size = MemoryLayout<stpn_run>.size
        (run.batch, run.time) = (Int64(input.batch), Int64(input.time))
        (run.threads, run.implementation) = (threads, implementation.rawValue)

        let summary = try cell.checked().0.summary
        let (parameters, states) = (summary.parameters, summary.states)
        let x = Guarded<T>(input.x)
        let given = input.parameters.map { Guarded<T>($0) }
        let state = input.state.map { $0.map { Guarded<T>($0) } }
        let y = Guarded<T>(count: input.batch * input.time * Int(cell.hidden_size))
        let energy = Guarded<T>(count: input.batch * input.time * Int(cell.hidden_size))
        let final = states.map { Guarded<T>(count: input.batch * $0.shape.count) }
        let gradY = Guarded<T>(input.gradY)
        let gradFinal = input.gradFinal.map { $0.map { Guarded<T>($0) } }
        let gradX = Guarded<T>(count: input.x.count)
        let gradParameters = parameters.map { Guarded<T>(count: $0.shape.count) }
        let gradState = states.map { Guarded<T>(count: input.batch * $0.shape.count) }
        let tape = try Self.memory { tapeSize(&cell, &run, $0, $1) }
        let forwardWork = try Self.memory { workspaceSize(&cell, &run, Job.Pass.forward.rawValue, $0, $1) }
        let backwardWork = try Self.memory { workspaceSize(&cell, &run, Job.Pass.backward.rawValue, $0, $1) }

        var error = stpn_error()
        error.struct_size = MemoryLayout<stpn_error>.size
        let finalPointers = Self.outputs(final)
        let parameterPointers = Self.inputs(given)
        let statePointers = Self.inputs(state)
        var resets = input.resets ?? []
        var status = resets.withUnsafeMutableBufferPointer { resets in
            finalPointers.withUnsafeBufferPointer { finalPointers in
                parameterPointers.withUnsafeBufferPointer { parameterPointers in
                    statePointers.withUnsafeBufferPointer { statePointers in
                        var buffers = stpn_forward_buffers()
                        buffers.struct_size = MemoryLayout<stpn_forward_buffers>.size
                        buffers.y = UnsafeMutableRawPointer(y.pointer)
                        buffers.energy = UnsafeMutableRawPointer(energy.pointer)
                        buffers.final_state = wantsFinal ? finalPointers.baseAddress : nil
                        buffers.x = UnsafeRawPointer(x.pointer)
                        buffers.parameters = parameterPointers.baseAddress
                        buffers.state = statePointers.baseAddress
                        buffers.resets = UnsafePointer(input.resets == nil ? nil : resets.baseAddress)
                        (buffers.tape, buffers.tape_size) = (tape.memory, tape.bytes)
                        (buffers.workspace, buffers.workspace_size) = (forwardWork.memory, forwardWork.bytes)
                        return forward(&cell, &run, &buffers, &error)
                    }
                }
            }
        }
        guard status == 0 else { throw Problem.status(Self.message(error)) }

        let gradFinalPointers = Self.inputs(gradFinal)
        let gradParameterPointers = Self.outputs(gradParameters)
        let gradStatePointers = Self.outputs(gradState)
        status = gradFinalPointers.withUnsafeBufferPointer { gradFinalPointers in
            gradParameterPointers.withUnsafeBufferPointer { gradParameterPointers in
                gradStatePointers.withUnsafeBufferPointer { gradStatePointers in
                    var buffers = stpn_backward_buffers()
                    buffers.struct_size = MemoryLayout<stpn_backward_buffers>.size
                    buffers.grad_x = UnsafeMutableRawPointer(gradX.pointer)
                    buffers.grad_parameters = gradParameterPointers.baseAddress
                    buffers.grad_state = gradStatePointers.baseAddress
                    buffers.grad_y = UnsafeRawPointer(gradY.pointer)
                    buffers.grad_final = gradFinalPointers.baseAddress
                    (buffers.tape, buffers.tape_size) = (UnsafeRawPointer(tape.memory), tape.bytes)
                    (buffers.workspace, buffers.workspace_size) = (backwardWork.memory, backwardWork.bytes)
                    return backward(&cell, &run, &buffers, &error)
                }
            }
        }
        guard status == 0 else { throw Problem.status(Self.message(error)) }

        let guarded = [x, y, energy, gradY, gradX] + given + final + gradParameters + gradState
        guard (guarded + state.compactMap { $0 } + gradFinal.compactMap { $0 }).allSatisfy(\.isIntact),
            [tape, forwardWork, backwardWork].allSatisfy(\.isIntact)
        else { throw Problem.overrun("a buffer was written beyond its end") }
        self.y = y.values
        self.energy = energy.values
        self.final = final.map(\.values)
        self.gradX = gradX.values
        self.gradParameters = gradParameters.map(\.values)
        self.gradState = gradState.map(\.values)
    }

    /// Scratch memory of the size that the library asks for, poisoned, with canaries on both sides.
    private final class Memory {
        let bytes: Int
        private let storage: UnsafeMutableRawBufferPointer
        private static var margin: Int { 64 }

        init(_ bytes: Int) {
            self.bytes = bytes
            storage = .allocate(byteCount: bytes + 2 * Self.margin, alignment: 64)
            storage.initializeMemory(as: UInt8.self, repeating: 0xFF)
        }

        deinit { storage.deallocate() }

        var memory: UnsafeMutableRawPointer { storage.baseAddress! + Self.margin }
        var isIntact: Bool {
            storage[..<Self.margin].allSatisfy { $0 == 0xFF }
                && storage[(Self.margin + bytes)...].allSatisfy { $0 == 0xFF }
        }
    }

    private static func memory(
        _ size: (UnsafeMutablePointer<Int>, UnsafeMutablePointer<stpn_error>) -> Int32
    ) throws -> Memory {
        var bytes = 0
        var error = stpn_error()
        error.struct_size = MemoryLayout<stpn_error>.size
        guard size(&bytes, &error) == 0 else { throw Problem.status(message(error)) }
        return Memory(bytes)
    }

    private static func message(_ error: stpn_error) -> String {
        withUnsafeBytes(of: error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static func inputs(_ arrays: [Guarded<T>?]) -> [UnsafeRawPointer?] {
        arrays.map { $0.map { UnsafeRawPointer($0.pointer) } }
    }

    private static func outputs(_ arrays: [Guarded<T>]) -> [UnsafeMutableRawPointer?] {
        arrays.map { UnsafeMutableRawPointer($0.pointer) }
    }
}
