/* A Modbus server on libmodbus, for the tests: TCP or RTU, ends by itself.

   usage: modbus_server tcp ADDRESS PORT SECONDS UNIT[:DELAY_MS]...
          modbus_server rtu PATH BAUD SECONDS UNIT[:DELAY_MS]

   Holding register i reads i + 1000 x unit, but for registers 0 and 1: a counter, the more
   significant register first, that grows with every response of the unit that contains it. On TCP
   a unit that is not named is silent, as behind a gateway that tells nothing; a unit with a delay
   takes its time and holds up the others, as on a line. Port 0 takes a free one. Says `ready PORT`
   or `ready PATH`. */
#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REGISTERS 2000
#define UNITS 256

static modbus_mapping_t *maps[UNITS];
static unsigned counts[UNITS];
static int delays_ms[UNITS];

static void add_unit(const char *text) {
  char *rest;
  int unit = (int)strtol(text, &rest, 10);
  maps[unit] = modbus_mapping_new(16, 16, REGISTERS, REGISTERS);
  delays_ms[unit] = *rest == ':' ? atoi(rest + 1) : 0;
  for (int i = 2; i < REGISTERS; i++) {
    maps[unit]->tab_registers[i] = (uint16_t)(i + 1000 * unit);
    maps[unit]->tab_input_registers[i] = (uint16_t)i;
  }
}

static void answer(modbus_t *context, const uint8_t *query, int size) {
  const uint8_t *adu = query + modbus_get_header_length(context) - 1;
  int unit = adu[0];
  modbus_mapping_t *map = maps[unit];
  if (map == NULL) return;
  if (delays_ms[unit]) usleep(1000 * (useconds_t)delays_ms[unit]);
  int is_count_read = adu[1] == 3 && adu[2] == 0 && adu[3] == 0 && (adu[4] || adu[5] > 1);
  unsigned count = counts[unit] + (is_count_read ? 1 : 0);
  map->tab_registers[0] = (uint16_t)(count >> 16);
  map->tab_registers[1] = (uint16_t)count;
  if (modbus_reply(context, query, size, map) > 0) counts[unit] = count;
}

static int serve_tcp(modbus_t *context, time_t end) {
  int listener = modbus_tcp_listen(context, 16);
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  if (listener < 0 || getsockname(listener, (struct sockaddr *)&address, &length)) return 1;
  printf("ready %d\n", ntohs(address.sin_port));
  fflush(stdout);
  fd_set open_sockets;
  FD_ZERO(&open_sockets);
  FD_SET(listener, &open_sockets);
  int highest = listener;
  while (time(NULL) < end) {
    fd_set readable = open_sockets;
    struct timeval wait = {0, 200000};
    if (select(highest + 1, &readable, NULL, NULL, &wait) <= 0) continue;
    for (int each = 0; each <= highest; each++) {
      if (!FD_ISSET(each, &readable)) continue;
      if (each == listener) {
        int socket = accept(listener, NULL, NULL);
        if (socket < 0) continue;
        FD_SET(socket, &open_sockets);
        if (socket > highest) highest = socket;
        continue;
      }
      uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
      modbus_set_socket(context, each);
      int size = modbus_receive(context, query);
      if (size > 0) answer(context, query, size);
      if (size < 0) {
        close(each);
        FD_CLR(each, &open_sockets);
      }
    }
  }
  return 0;
}

static int serve_rtu(modbus_t *context, const char *path, time_t end) {
  if (modbus_connect(context)) return 1;
  modbus_set_indication_timeout(context, 0, 200000);
  printf("ready %s\n", path);
  fflush(stdout);
  while (time(NULL) < end) {
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
    int size = modbus_receive(context, query);
    if (size > 0) answer(context, query, size);
    if (size < 0 && errno != ETIMEDOUT) modbus_flush(context);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  time_t end = time(NULL) + atoi(argv[4]);
  for (int k = 5; k < argc; k++) add_unit(argv[k]);
  modbus_t *context = strcmp(argv[1], "tcp") == 0 ? modbus_new_tcp(argv[2], atoi(argv[3]))
                                                   : modbus_new_rtu(argv[2], atoi(argv[3]), 'N', 8, 1);
  if (context == NULL) return 1;
  if (strcmp(argv[1], "tcp") == 0) return serve_tcp(context, end);
  modbus_set_slave(context, atoi(argv[5]));
  return serve_rtu(context, argv[2], end);
}
