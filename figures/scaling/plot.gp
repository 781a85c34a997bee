# SPDX-License-Identifier: GPL-2.0
set multiplot layout 1,3 margins 0.06,0.98,0.30,0.90 spacing 0.06
set style data linespoints
set pointsize 1.2
set xrange [-0.3:4.3]
set xlabel "nodes"
set key at graph 0.5,-0.27 center top horizontal samplen 1
set title "run time over that with Mitosis"
set yrange [0.9:*]
plot table index 0 using 0:6:xtic(1) lw 2 pt 7 lc rgb mitosis title "BTree"
set title "walk reads from memory that are remote, %"
set yrange [0:100]
plot table index 0 using 0:3:xtic(1) lw 2 pt 7 lc rgb stock title "first touch", "" index 0 using 0:5 lw 2 pt 7 lc rgb mitosis title "replicated"
set title "cost over that without replicas"
set yrange [0:*]
plot table index 1 using 0:2:xtic(1) lw 2 pt 7 lc rgb third title "memory", "" index 1 using 0:3 lw 2 pt 7 lc rgb mitosis title "mmap", "" index 1 using 0:4 lw 2 pt 7 lc rgb stock title "mprotect", "" index 1 using 0:5 lw 2 pt 7 lc rgb fourth title "munmap"
unset multiplot
