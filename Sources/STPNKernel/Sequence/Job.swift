import CSTPN

/// What a kernel is asked: a call whose arguments were checked, or how much memory such a call needs.
///
/// A kernel for another instruction set is compiled from the same sources and reads the Job at an address; its buffers
/// are those of the caller's C structs.
struct Job {
    enum Pass: Int32 {
        case forward = 1
        case backward, step
    }

    enum Work {
        case measureTape
        case measureWorkspace(Pass)
        case forward(stpn_forward_buffers)
        case backward(stpn_backward_buffers)
        case step(stpn_step_buffers)
    }

    let description: stpn_cell
    /// What the description says, checked.
    let cell: Cell
    let type: NumberType
    /// B
    let batch: Int
    /// T
    let time: Int
    let threads: Int
    let work: Work

    /// A single step in place, or what it needs.
    var isStep: Bool {
        switch work {
        case .step, .measureWorkspace(.step): true
        default: false
        }
    }
}

enum NumberType: Int32, Choice {
    case float32 = 1
    case float64

    var name: StaticString? { self == .float32 ? "float32" : "float64" }

    var size: Int { self == .float32 ? 4 : 8 }
}

/// The arrays of pointers in which parameters and states travel.
typealias InputArrays = UnsafePointer<UnsafeRawPointer?>
typealias OutputArrays = UnsafePointer<UnsafeMutableRawPointer?>

extension Optional where Wrapped == InputArrays {
    /// Array number `index`, or nil where the caller gave none.
    func array<T>(_ index: Int, _: T.Type) -> UnsafePointer<T>? {
        self?[index]?.assumingMemoryBound(to: T.self)
    }

    /// The part of array number `index` that is sample b's.
    func array<T>(_ index: Int, _: T.Type, sample b: Int, of info: ArrayInfo) -> UnsafePointer<T>? {
        array(index, T.self).map { $0 + b * info.shape.count }
    }
}

extension Optional where Wrapped == OutputArrays {
    func array<T>(_ index: Int, _: T.Type) -> UnsafeMutablePointer<T>? {
        self?[index]?.assumingMemoryBound(to: T.self)
    }

    func array<T>(_ index: Int, _: T.Type, sample b: Int, of info: ArrayInfo) -> UnsafeMutablePointer<T>? {
        array(index, T.self).map { $0 + b * info.shape.count }
    }
}
