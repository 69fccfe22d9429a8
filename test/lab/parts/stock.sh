# Stand-ins of CloudStack's own scripts on the lab's host.

#: stock-install                   put the stand-ins of test/stand-ins there; prints their directory
verb_stock_install() {
  need_up
  mkdir -p "$HOST/stock"
  install -o root -g root -m 755 "$LAB_HOME"/../stand-ins/* "$HOST/stock/"
  printf '%s\n' "$HOST/stock"
}
