import CPlatform

/// Calls `body(index, slot)` for every index in 0..<count on at most `threads` threads and returns when all are done.
/// Calls that run at the same time have different slots in 0..<threads: the place of their scratch memory.
func parallelFor(_ count: Int, threads: Int, _ body: (_ index: Int, _ slot: Int) -> Void) {
    typealias Body = (Int, Int) -> Void
    withoutActuallyEscaping(body) { body in
        var body = body
        withUnsafeMutablePointer(to: &body) { pointer in
            stpn_platform_parallel_for(Int64(count), Int32(threads), pointer) { context, index, slot in
                context!.assumingMemoryBound(to: Body.self).pointee(Int(index), Int(slot))
            }
        }
    }
}
