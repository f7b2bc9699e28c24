/// Why a call was refused.
///
/// Everything is checked before anything is written: after an error all arguments are as they were.
public struct STPNError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Sendable {
        /// An option is out of its range, or contradicts another.
        case option
        /// A size is too small or too large, an array has another shape than the cell's, or there is none of that name.
        case size
        /// The tape is of another cell.
        case tape
        /// The environment variable `STPN_ISA` names an implementation that this build does not have.
        case implementation
        /// The system does not have the memory that the call needs.
        case memory
    }

    public let reason: Reason
    /// The name of the argument, those of options as in `docs/cells.md`: `x`, `state.F`, `norm_gain`.
    public let argument: String
    /// One sentence without a full stop: the argument, what was expected, what came.
    public let message: String

    public var description: String { message }

    init(_ reason: Reason, _ argument: String, _ text: String) {
        (self.reason, self.argument, message) = (reason, argument, argument + ": " + text)
    }

    init(_ failure: Failure) {
        reason =
            switch failure.status {
            case .option: .option
            case .tape: .tape
            case .implementation: .implementation
            // The buffers are this module's own: what is left of their errors are sizes.
            case .size, .null, .structSize, .alignment, .overlap, .workspace: .size
            }
        (argument, message) = (failure.argument, failure.message)
    }
}

/// Runs a body that calls the checked entry of the kernel, and throws its failure as an error of the module.
func checking<R>(_ body: () throws(Failure) -> R) throws(STPNError) -> R {
    do { return try body() } catch { throw STPNError(error) }
}
