import CPlatform
import CSTPN

/// The kernels: the plain one, and the fast one compiled for each instruction set.
enum Implementation: Int32, CaseIterable {
    case plain = 1
    case baseline
    case x86_64_v3
    case x86_64_v4

    var name: StaticString {
        switch self {
        case .plain: "plain"
        case .baseline: "baseline"
        case .x86_64_v3: "x86-64-v3"
        case .x86_64_v4: "x86-64-v4"
        }
    }

    var isAvailable: Bool {
        switch self {
        case .plain, .baseline: true
        case .x86_64_v3, .x86_64_v4: stpn_platform_find_kernel(rawValue) != nil
        }
    }

    /// The one that STPN_ISA names, or the last one, which is the fastest, that this processor runs.
    static func best() throws(Failure) -> Implementation {
        guard let requested = stpn_platform_requested_implementation() else {
            return allCases.last { $0.isAvailable }!
        }
        for implementation in allCases where equal(requested, implementation.name) && implementation.isAvailable {
            return implementation
        }
        throw Failure(
            .implementation, "STPN_ISA", "expected one of \(availableNames), got \"\(text(requested))\"")
    }

    /// The one that a caller asks for; 0 is the best.
    static func find(_ number: Int32) throws(Failure) -> Implementation {
        if number == 0 { return try best() }
        guard let implementation = Implementation(rawValue: number), implementation.isAvailable else {
            throw Failure(
                .implementation, "implementation", "expected 0 or the number of one of \(availableNames), got \(number)"
            )
        }
        return implementation
    }

    private static var availableNames: String {
        var names = ""
        for implementation in allCases where implementation.isAvailable {
            names += (names.isEmpty ? "" : ", ") + implementation.name.description
        }
        return names
    }

    /// The answer to a job: the bytes asked for, nil where that is more than there can be, or 0 after a run.
    func run(_ job: Job) -> Int? {
        if self == .plain { return job.cell.runPlain(job) }
        #if STPN_BASELINE_APART
        if self == .baseline && job.type == .float64 { return job.cell.runPlain(job) }
        let kernel = stpn_platform_find_kernel(rawValue)!
        #else
        guard let kernel = stpn_platform_find_kernel(rawValue) else { return job.cell.runFast(job) }
        #endif
        let answer = withUnsafePointer(to: job) { kernel($0) }
        return answer < 0 ? nil : Int(answer)
    }
}
