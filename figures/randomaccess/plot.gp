# SPDX-License-Identifier: GPL-2.0
set multiplot layout 1,2 margins 0.07,0.80,0.13,0.90 spacing 0.06
set style data histograms
set style histogram clustered gap 1
set yrange [0:*]
set xrange [-0.6:3.6]
set ylabel "run time over base"
set title "reference machine"
unset key
plot table index 0 using 2:xtic(1) lc rgb stock, "" index 0 using 4 lc rgb mitosis, "" index 0 using 7 lc rgb published
unset ylabel
set title "modern machine"
set key at screen 0.99,0.85
plot table index 2 using 2:xtic(1) lc rgb stock title "placed as named", "" index 2 using 4 lc rgb mitosis title "replicated", keyentry with boxes lc rgb published title "published"
unset multiplot
