//! Empty. The packages beside this file exist for their dependencies alone.
