# SPDX-License-Identifier: GPL-2.0
set multiplot layout 1,2 margins 0.08,0.80,0.13,0.90 spacing 0.09
set style data linespoints
set pointsize 1.2
set xrange [-0.3:4.3]
set xlabel "nodes"
set title "run time over that with Mitosis"
set yrange [0.9:*]
unset key
plot table index 0 using 0:6:xtic(1) lw 2 pt 7 lc rgb mitosis
set title "walk reads from memory that are remote, %"
set yrange [0:100]
set key at screen 0.99,0.85
plot table index 0 using 0:3:xtic(1) lw 2 pt 7 lc rgb stock title "first touch", "" index 0 using 0:5 lw 2 pt 7 lc rgb mitosis title "replicated"
unset multiplot
