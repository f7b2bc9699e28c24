import CSTPN

/// Why a call is refused: the status that it returns, and the sentence for `stpn_error`.
struct Failure: Error {
    enum Status: Int32 {
        case null = 10
        case structSize = 20
        case option = 30
        case size = 40
        case alignment = 50
        case overlap = 60
        case tape = 70
        case workspace = 80
        case implementation = 90
    }

    let status: Status
    let argument: String
    let message: String

    /// The message is "argument: reason"; the reason says what was expected and what came.
    init(_ status: Status, _ argument: String, _ reason: String) {
        self.status = status
        self.argument = argument
        message = argument + ": " + reason
    }

    func write(to error: UnsafeMutablePointer<stpn_error>) {
        guard error.pointee.struct_size == MemoryLayout<stpn_error>.size else { return }
        withUnsafeMutableBytes(of: &error.pointee.argument) { copy(argument, to: $0) }
        withUnsafeMutableBytes(of: &error.pointee.message) { copy(message, to: $0) }
    }
}

/// Writes text as a C string, cut off where the room ends.
func copy(_ text: String, to room: UnsafeMutableRawBufferPointer) {
    var length = 0
    for byte in text.utf8 where length < room.count - 1 {
        room[length] = byte
        length += 1
    }
    room[length] = 0
}

/// Runs the body of an entry point; what it throws becomes its status and the caller's message.
func report(_ error: UnsafeMutablePointer<stpn_error>?, _ body: () throws(Failure) -> Void) -> Int32 {
    do {
        try body()
        return 0
    } catch let failure {
        if let error { failure.write(to: error) }
        return failure.status.rawValue
    }
}

/// The struct at an address, if its first field says that it is one of this version: a smaller one is not read beyond it.
func checked<T>(_ pointer: UnsafePointer<T>?, _ name: String) throws(Failure) -> T {
    guard let pointer else { throw Failure(.null, name, "expected a struct, got NULL") }
    let size = UnsafeRawPointer(pointer).loadUnaligned(as: UInt.self)
    guard size == MemoryLayout<T>.size else {
        throw Failure(.structSize, name, "expected struct_size \(MemoryLayout<T>.size), got \(size)")
    }
    return pointer.pointee
}
